"""The Faust stages between the raw items and the search index, and what they share."""
