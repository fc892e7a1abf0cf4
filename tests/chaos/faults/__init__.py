"""The faults, by name. Each room of this package registers its own; see :mod:`.registry`."""

from tests.chaos.faults import clocks, embedded, inputs, processes, servers
from tests.chaos.faults.registry import Fault, all_faults, fault


__all__ = [
    "Fault",
    "all_faults",
    "clocks",
    "embedded",
    "fault",
    "inputs",
    "processes",
    "servers",
]
