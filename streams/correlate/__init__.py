"""Correlate: the same text is one story, the same event one incident."""
