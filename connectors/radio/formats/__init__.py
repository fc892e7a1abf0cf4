"""Transcript formats: each a pure function from text to cues."""
