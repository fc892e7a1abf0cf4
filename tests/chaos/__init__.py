"""Chaos: faults from a seed, injected into real processes and servers; then an account.

``python -m tests.chaos --seed N --faults N``, or ``make chaos``. A source of the run's
own knows what it published (:mod:`tests.chaos.source`), processes of the installed
command carry it through (:mod:`tests.chaos.world`), faults strike
(:mod:`tests.chaos.faults`), and what is then on the log and in the index is held against
what was published (:mod:`tests.chaos.invariant`). The anchors are Kafka's ducktape,
Jepsen, Vector and TigerBeetle's simulator: name the fault, seed everything, check, print
the seed.
"""
