"""Radio: transcripts from a watched folder."""
