"""Annotate: language, incident class and what decided, from the text alone."""
