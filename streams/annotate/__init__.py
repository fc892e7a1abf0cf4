"""Annotate: what language a text is in, what it tells of, and which texts are the same.

Each annotator is one small module behind the protocol in
:mod:`streams.annotate.annotate`, with its own version: replacing one touches no other.
"""
