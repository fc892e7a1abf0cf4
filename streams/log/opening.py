"""Which log it is."""

from __future__ import annotations

from streams.log.embedded import EmbeddedLog
from streams.log.face import Log
from streams.log.kafka import KafkaLog
from streams.settings import Settings


def open_log(settings: Settings) -> Log:
    """Return the log that *settings* name, to be entered by the caller."""
    if settings.mode == "embedded":
        return EmbeddedLog(settings.data_folder, settings.log, prefix=settings.prefix)
    return KafkaLog(settings.kafka, prefix=settings.prefix)
