"""Correlate: which items carry the same story, and which tell of the same incident.

A first baseline: equal signatures are one story, and a story whose main event happened
is one incident. What it already settles is the bookkeeping that better answers will
need: versions, revisions, withdrawals, replays, and a bounded memory.
"""
