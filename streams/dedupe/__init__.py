"""Dedupe: is this a publication that we know, and a text of it that we know."""
