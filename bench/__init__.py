"""Speed, measured by commands; never part of the test run. ``python -m bench`` runs all."""
