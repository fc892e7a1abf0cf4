"""What is searched of a record: the same for both indices. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

from mappings import analysis
from mappings.face import Held, Kind, Refused
from streams.records import Incident, Item


#: A longer value of a label is not indexed; the record keeps it.
LABEL_MAX = 512
#: Elasticsearch's limit on the length of a document's name.
ID_MAX_BYTES = 512
VERSION_MAX = 2**63 - 1


class Passage(NamedTuple):
    """A stretch of text, and the language whose stems it has ('' when none)."""

    language: str
    text: str


class Searchable(NamedTuple):
    """What both indices know of a record, beside the record itself."""

    #: Whether any query finds it: not when withdrawn, nor when merged into another.
    findable: bool
    title: tuple[Passage, ...]
    text: tuple[Passage, ...]
    #: Label (see :data:`mappings.query.FIELDS`) -> its values, in lower case.
    labels: dict[str, tuple[str, ...]]
    #: What ``after`` and ``before`` compare, and what results are sorted by: when an
    #: item was published, as far as credible; when an incident took place.
    moment: datetime
    #: What ``seen-after`` compares: first sight of an item, last report of an incident.
    seen: datetime

    @property
    def day(self) -> str:
        """The day of ``moment``, in UTC."""
        return self.moment.strftime("%Y-%m-%d")

    def passages(self) -> tuple[Passage, ...]:
        """Return title and text."""
        return self.title + self.text


class Header(msgspec.Struct, frozen=True):
    """What the audit asks of an item's record; decoding passes over the rest."""

    id: str
    version: int
    revision: int
    first_seen: datetime
    state: str = "present"
    origin: str = ""

    def held(self) -> Held:
        """Return it as :meth:`mappings.face.SearchIndex.held` does."""
        return Held(
            self.version, self.revision, self.state, self.origin, self.first_seen
        )


def kind_of(document: Item | Incident) -> Kind:
    """Return which index *document* belongs to."""
    return "items" if isinstance(document, Item) else "incidents"


def fault(document: Item | Incident) -> Refused | None:
    """Return why no index can take *document*, or None if it can be tried."""
    size = len(document.id.encode("utf-8", "replace"))
    if not 0 < size <= ID_MAX_BYTES:
        return Refused(
            "id_length", f"an id has 1 to {ID_MAX_BYTES} bytes, this one {size}"
        )
    if not 0 < document.version <= VERSION_MAX:
        return Refused(
            "version_range", f"{document.version} is not in [1, {VERSION_MAX}]"
        )
    try:
        msgspec.json.encode(document)
    except UnicodeEncodeError as error:
        return Refused("not_unicode", f"a text of the record is not Unicode: {error}")
    return None


def stored(document: Item | Incident) -> Item | Incident:
    """Return what the index keeps of *document*: of an item that is not present, a stub.

    A stub has no text and nothing that quotes it, but all that says what it was.
    """
    if isinstance(document, Incident) or document.state == "present":
        return document
    return msgspec.structs.replace(
        document,
        title="",
        text="",
        summary="",
        changed=(),
        point=None,
        authors=(),
        categories=(),
        enclosures=(),
        recording=None,
        events=(),
        places=(),
    )


def searchable(document: Item | Incident) -> Searchable:
    """Return what is searched of *document*."""
    if isinstance(document, Item):
        return _of_item(document)
    return _of_incident(document)


def _of_item(item: Item) -> Searchable:
    return Searchable(
        findable=item.state == "present",
        title=_passages([(item.language.code, item.title)]),
        text=_passages(
            (item.language.code, text) for text in (item.text, item.summary)
        ),
        labels={
            "lang": _values([analysis.language_of(item.language.code)]),
            "class": (item.main_class,),
            "source": _values(
                [item.source.id, *(seen.source for seen in item.seen_in)]
            ),
            "publisher": _values([item.publisher]),
            "station": _values([item.source.id] if item.recording is not None else []),
            "story": _values([item.story.id] if item.story is not None else []),
            "incident": _values(item.incidents),
        },
        moment=item.anchor,
        seen=item.first_seen,
    )


def _of_incident(incident: Incident) -> Searchable:
    reports = incident.reports
    language = reports[0].language if reports else "und"
    place = [incident.place.name] if incident.place is not None else []
    names = place + [actor.name for actor in incident.actors]
    sources = [report.source for report in reports]
    return Searchable(
        findable=not incident.merged_into,
        title=_passages([(language, incident.title)]),
        text=_passages(
            [(report.language, report.quote) for report in reports]
            + [("und", name) for name in names]
        ),
        labels={
            "lang": _values(analysis.language_of(one.language) for one in reports),
            "class": (incident.incident_class,),
            "source": _values(sources),
            "publisher": _values(report.publisher for report in reports),
            "station": _values(sources),
            "story": _values(report.story for report in reports),
            "incident": _values([incident.id]),
        },
        moment=incident.when.start if incident.when else incident.first_seen,
        seen=incident.last_seen,
    )


def _passages(texts: Iterable[tuple[str, str]]) -> tuple[Passage, ...]:
    return tuple(
        Passage(code if code in analysis.STEMMERS else "", text)
        for code, text in ((analysis.language_of(full), text) for full, text in texts)
        if text
    )


def _values(values: Iterable[str]) -> tuple[str, ...]:
    folded = (value.strip().casefold() for value in values)
    return tuple(dict.fromkeys(v for v in folded if 0 < len(v) <= LABEL_MAX))
