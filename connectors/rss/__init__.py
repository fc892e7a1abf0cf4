"""Feeds: fetch, parse, publish."""
