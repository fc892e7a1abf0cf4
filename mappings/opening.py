"""Choose the search index by the settings."""

from __future__ import annotations

from mappings.elastic import ElasticIndex
from mappings.embedded import EmbeddedIndex
from mappings.face import SearchIndex
from streams.settings import Settings


def open_index(settings: Settings) -> SearchIndex:
    """Return the index that *settings* name; enter it to open it."""
    if settings.mode == "embedded":
        return EmbeddedIndex(settings.data_folder, synchronous=settings.log.synchronous)
    return ElasticIndex(settings.elasticsearch, settings.prefix)
