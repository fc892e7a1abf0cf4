"""Index: items and incidents into the search index, in bulk."""
