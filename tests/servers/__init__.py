"""A real Kafka and a real Elasticsearch, for the tests and for trying things by hand.

Where they come from, first that applies: the addresses in ``WIRETEST_KAFKA`` and
``WIRETEST_ELASTICSEARCH``; a container engine that answers; Maven and Java. What a test
run starts it ends, however it ends itself: see :mod:`tests.servers.guard`.
"""
