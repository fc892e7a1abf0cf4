"""Records to log entries and back: CloudEvents headers (Kafka protocol binding 1.0.2).

Beside the CloudEvents attributes an entry carries what a subscriber filters by without
decoding it (``ww_class``, ``ww_country``, ``ww_language``) and ``ww_origin``: the
position of the raw record that it came from, the thread that ``wirewatch audit``
follows. The stage loop adds the origin; connectors' records are their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar, cast
from urllib.parse import quote, unquote

import msgspec

from streams.clock import to_ms
from streams.errors import RecordError
from streams.log.face import Headers, Output, Position, Record
from streams.records import (
    SCHEMA_VERSION,
    Cursor,
    FeedHealth,
    Incident,
    Item,
    RawItem,
    TaggedItem,
    UniqueItem,
    WatchedFeed,
)
from streams.text import fingerprint
from streams.topics import (
    CURSORS,
    DEADLETTERS,
    FEEDS,
    HEALTH,
    INCIDENTS,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
)


#: What RFC 3986 allows in a path beside letters and digits; the rest is escaped.
URI_SAFE = "/:@!$&'()*+,;=~"
_URI = "/wirewatch/"

ORIGIN = "ww_origin"
#: The name of the replay that wrote a record, or that it follows from: it is no news.
REPLAY = "ww_replay"

#: What a dead letter's headers say, beside those that the record came with.
DEAD_REASON = "ww_reason"
DEAD_KIND = "ww_kind"
DEAD_STAGE = "ww_stage"
DEAD_POSITION = "ww_position"
DEAD_TIME = "ww_time"

#: On a record that was put back for a dead letter, and on what follows from it: the
#: letter's position.
RETRY_OF = "ww_retry_of"

#: What a *notice* on the dead letters' topic says: which letter it is about, what was
#: done with that, and where a retry lies (empty: written to the index directly).
NOTICE_LETTER = "ww_letter"
NOTICE_STATE = "ww_state"
NOTICE_TO = "ww_retried_to"

#: Code points. A longer identity stands in headers as its fingerprint: headers count
#: against a broker's limit, and a feed's guid may be as long as an item.
NAMED_MAX = 1_000

encode: Callable[[object], bytes] = msgspec.json.Encoder().encode

_DECODERS: Mapping[type[msgspec.Struct], Callable[[bytes], msgspec.Struct]] = {
    record: msgspec.json.Decoder(record).decode
    for record in (
        *(RawItem, UniqueItem, TaggedItem, Item, Incident),
        *(Cursor, WatchedFeed, FeedHealth),
    )
}


T = TypeVar("T", bound=msgspec.Struct)


def decode(kind: type[T], value: bytes | None) -> T:
    """Return the record in *value*; RecordError says what is wrong with it.

    Of a record that a newer version wrote, the fields that this one knows: so it says
    to be of this version's schema, also in what a stage writes on.
    """
    if value is None:
        raise RecordError(f"a tombstone where a {kind.__name__} should be")
    try:
        record = cast(T, _DECODERS[kind](value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"not a {kind.__name__}: {error}") from error
    if getattr(record, "schema", 0) > SCHEMA_VERSION:
        return msgspec.structs.replace(record, schema=SCHEMA_VERSION)
    return record


def read(kind: type[T], value: bytes | None) -> T | None:
    """Return the record in *value*; None for what is no such record.

    For whoever looks over a topic: to refuse is the business of the stage that reads it.
    """
    try:
        return decode(kind, value)
    except RecordError:
        return None


def raw(item: RawItem) -> Output:
    """Return *item* as a connector publishes it; it has no id of ours yet."""
    known_as = item.identities[0].value if item.identities else ""
    if len(known_as) > NAMED_MAX:
        known_as = fingerprint(known_as)
    name = f"{item.source.id}/{known_as}"
    ident = f"{name}/{to_ms(item.fetched)}"
    return _entry(RAW, item, key=item.publisher, subject=name, ident=ident, item=item)


def unique(item: UniqueItem) -> Output:
    """Return *item* as dedupe publishes it."""
    return _entry(
        UNIQUE,
        item,
        key=item.id,
        subject=item.id,
        ident=f"{item.id}/r{item.revision}",
        item=item,
    )


def tagged(item: TaggedItem) -> Output:
    """Return *item* as annotate publishes it."""
    return _entry(
        TAGGED,
        item,
        key=item.id,
        subject=item.id,
        ident=f"{item.id}/r{item.revision}",
        item=item,
        extra=_labels(item),
    )


def item(item: Item) -> Output:
    """Return *item* as correlate publishes it."""
    return _entry(
        ITEMS,
        item,
        key=item.id,
        subject=item.id,
        ident=f"{item.id}/{item.version}",
        item=item,
        extra=_labels(item),
    )


def incident(incident: Incident) -> Output:
    """Return *incident* as correlate publishes it."""
    country = incident.place.country if incident.place else ""
    return _output(
        INCIDENTS,
        incident,
        key=incident.id,
        headers=_cloudevent(
            INCIDENTS,
            ident=f"{incident.id}/{incident.version}",
            subject=incident.id,
            source="correlate",
            time=incident.last_seen,
        )
        + _filters(incident.incident_class, country, ""),
    )


def cursor(cursor: Cursor) -> Output:
    """Return *cursor* as a connector keeps it."""
    return _about_source(CURSORS, cursor, cursor.source, "connectors", cursor.updated)


def _about_source(
    topic: Topic, record: msgspec.Struct, ident: str, writer: str, moment: datetime
) -> Output:
    return _output(
        topic,
        record,
        key=ident,
        headers=_cloudevent(
            topic,
            ident=f"{ident}/{moment.isoformat()}",
            subject=ident,
            source=writer,
            time=moment,
        ),
    )


def watched_feed(feed: WatchedFeed) -> Output:
    """Return *feed* as connectors are told of it."""
    return _about_source(FEEDS, feed, feed.id, "operator", feed.added)


def feed_health(health: FeedHealth) -> Output:
    """Return *health* as a connector keeps it."""
    return _about_source(HEALTH, health, health.source, "connectors", health.updated)


def dead_letter(
    record: Record, *, stage: str, kind: str, reason: str, now: datetime
) -> Output:
    """Return *record* as received, with the reason why *stage* put it aside.

    ``kind`` groups reasons (an error's name); ``reason`` is for a person.
    """
    about = {
        ORIGIN: origin_of(record),
        DEAD_STAGE: stage,
        DEAD_KIND: kind,
        DEAD_REASON: reason[:2000],
        DEAD_POSITION: str(record.position),
        DEAD_TIME: now.isoformat(),
    }
    ours = {*about, NOTICE_LETTER, NOTICE_STATE, NOTICE_TO}
    kept = tuple(header for header in record.headers if header[0] not in ours)
    return Output(DEADLETTERS.name, record.key, record.value, kept + _headers(about))


def refused_at_door(
    *, stage: str, source: str, kind: str, reason: str, document: Mapping[str, object]
) -> Output:
    """Return the dead letter for what a connector did not let onto ``items.raw``.

    There is no record to keep: the value is ``document``, a description (SHA-256, size)
    of what *source* gave; the headers are those of :func:`dead_letter`, without a
    position and an origin, which it never had.
    """
    described = {"source": source, "reason": reason[:2000]} | dict(document)
    whole = {
        name: _bytes(told).decode() if isinstance(told, str) else told
        for name, told in described.items()
    }
    about = {DEAD_STAGE: stage, DEAD_KIND: kind, DEAD_REASON: reason[:2000]}
    return Output(
        DEADLETTERS.name,
        _bytes(source),
        encode(whole),
        _headers(about),
    )


def _entry(
    topic: Topic,
    record: msgspec.Struct,
    *,
    key: str,
    subject: str,
    ident: str,
    item: RawItem,
    extra: Headers = (),
) -> Output:
    headers = _cloudevent(
        topic, ident=ident, subject=subject, source=item.source.id, time=item.fetched
    )
    return _output(topic, record, key=key, headers=headers + extra)


def _output(
    topic: Topic, record: msgspec.Struct, *, key: str, headers: Headers
) -> Output:
    try:
        value = encode(record)
    except UnicodeEncodeError as error:
        raise RecordError(f"cannot be a {type(record).__name__}: {error}") from error
    return Output(topic.name, _bytes(key), value, headers)


def _cloudevent(
    topic: Topic, *, ident: str, subject: str, source: str, time: datetime
) -> Headers:
    assert topic.record is not None, topic.name
    kind = topic.record.__name__
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", _bytes(ident)),
        ("ce_subject", _bytes(subject)),
        ("ce_type", f"wirewatch.{kind}".encode()),
        ("ce_source", _uri(source)),
        ("ce_time", time.isoformat().encode()),
        ("ce_dataschema", f"wirewatch:{kind}:{SCHEMA_VERSION}".encode()),
        ("content-type", b"application/json"),
    )


def named_source(record: Record) -> str:
    """Return the source that the headers of *record* name, without decoding its value."""
    return unquote(record.header("ce_source").removeprefix(_URI))


@lru_cache(maxsize=10_000)
def _uri(source: str) -> bytes:
    return f"{_URI}{quote(source, safe=URI_SAFE, errors='replace')}".encode()


def _labels(item: TaggedItem) -> Headers:
    country = next((p.country for p in item.places if p.role == "scene"), "")
    return _filters(item.main_class, country, item.language.code)


def _filters(label: str, country: str, language: str) -> Headers:
    return _headers({"ww_class": label, "ww_country": country, "ww_language": language})


def _headers(texts: Mapping[str, str]) -> Headers:
    return tuple((name, _bytes(text)) for name, text in texts.items())


def _bytes(text: str) -> bytes:
    """Encode what only labels a record: a lone surrogate in it must not stop it."""
    return text.encode("utf-8", "replace")


def origin_of(record: Record) -> str:
    """Return the raw record that *record* came from; a raw one is its own origin."""
    told = record.header(ORIGIN)
    return told if told and Position.parse(told) else str(record.position)


class Saying(NamedTuple):
    """When dedupe said something of a publication; of two, the greater one is the later.

    Under one revision a second feed's fuller text follows the shorter one, and a new
    link the one before: the records of a publisher lie in one partition, where their
    order tells. A dedupe that has lost its memory counts revisions from 1 again, but what
    it sees first it sees later.
    """

    first_seen: datetime
    revision: int
    #: Of the raw record.
    offset: int


def saying(first_seen: datetime, revision: int, origin: str) -> Saying:
    """Return when dedupe said this revision, which came from the record at *origin*."""
    position = Position.parse(origin)
    return Saying(first_seen, revision, -1 if position is None else position.offset)


def retry_of(record: Record) -> Position | None:
    """Return the dead letter that *record* was put back for, or follows from."""
    told = record.header(RETRY_OF)
    letter = Position.parse(told) if told else None
    return letter if letter is not None and letter.topic == DEADLETTERS.name else None


def thread_of(record: Record) -> Headers:
    """Return the headers that go from *record* to whatever follows from it."""
    thread = [(ORIGIN, origin_of(record).encode())]
    for name, value in record.headers:
        is_retry = name == RETRY_OF and retry_of(record) is not None
        if is_retry or (name == REPLAY and value):
            thread.append((name, value))
    return tuple(thread)
