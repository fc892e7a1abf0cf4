"""The search index: text analysis, query language, Elasticsearch and embedded."""
