"""The tests; a package so that ``tests.servers`` is importable from the repository's root."""
