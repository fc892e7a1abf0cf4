"""Index: what correlate says, made searchable."""
