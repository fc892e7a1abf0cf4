"""The outside world -> ``items.raw``: knows records, topics and the log, never an agent."""
