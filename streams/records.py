"""The records on our topics: the one place where a field is defined.

JSON Schema, the AsyncAPI document and both search indices are derived from these
types. A record grows along its way: :class:`RawItem` (connectors) ->
:class:`UniqueItem` (dedupe) -> :class:`TaggedItem` (annotate) -> :class:`Item`
(correlate), each the one before plus what its stage found out.

Only additive changes: every new field has a default, so that a reader of this
version still reads older records; unknown fields of newer ones are passed over.
Times are RFC 3339 in UTC. A :class:`Span` counts Unicode code points.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from msgspec import Meta


SCHEMA_VERSION = 1
#: By factory, which ``omit_defaults`` does not leave out: the version is always written.
_VERSION: int = msgspec.field(default_factory=lambda: SCHEMA_VERSION)

UTC = Annotated[datetime, Meta(tz=True)]
Share = Annotated[float, Meta(ge=0, le=1)]
#: Of an item that is forgotten: above all that a clock gives (milliseconds), so that
#: nothing ever replaces the stub; the largest that JSON's readers agree on (RFC 7493).
FORGOTTEN_VERSION = 2**53 - 1
Seconds = Annotated[float, Meta(ge=0)]

State = Literal["present", "withdrawn", "forgotten"]
IncidentClass = Literal[
    "battle",
    "remote_violence",
    "violence_against_civilians",
    "protest",
    "riot",
    "strategic_development",
    "crime",
    "disaster",
    "accident",
    "health",
    "infrastructure",
    "none",
]
Modality = Literal["happened", "planned", "denied", "retold", "fiction"]


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One name under which a source knows a publication."""

    kind: Literal["guid", "link", "text"]
    value: str
    #: The connector's judgement: stable, and unique within its source.
    usable: bool = True


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a record came from."""

    connector: Literal["rss", "radio", "ingest"]
    #: Stable name of the feed or station; dedupe keeps one sequence per source.
    id: str
    name: str = ""
    #: Without credentials, always.
    url: str = ""
    #: ISO 3166-1 alpha-2, as configured.
    country: str = ""
    #: BCP 47, as configured or as the source says of itself; a hint, not a finding.
    language: str = ""


class Enclosure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that a feed entry carries or names."""

    url: str
    role: Literal["enclosure", "transcript", "image"] = "enclosure"
    media_type: str = ""
    size_bytes: int | None = None


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of a transcript; offsets are from :attr:`Recording.recorded`."""

    start_s: Seconds
    end_s: Seconds
    text: str
    speaker: str = ""
    #: The recogniser's, when it gave one.
    confidence: Share | None = None


class Recognizer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What turned speech into text."""

    engine: str
    model: str = ""
    confidence: Share | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item from radio has beside its text."""

    #: Start of the recording.
    recorded: UTC | None = None
    #: How ``recorded`` is known.
    recorded_from: Literal["file", "name", "metadata", "mtime", "unknown"] = "unknown"
    segments: tuple[Segment, ...] = ()
    media_url: str = ""
    #: None when a person wrote the transcript.
    recognizer: Recognizer | None = None
    marks: tuple[Literal["invented", "jingle", "rebroadcast"], ...] = ()
    rebroadcast_of: str = ""


class Point(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place on the earth, as a source gives it (WGS 84, degrees)."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


class Forgetting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A publication's content was taken away everywhere: which, and why.

    It holds nothing of the content: ``because`` is the operator's own words.
    """

    id: str
    because: str
    #: As the index held them when it was asked for.
    revision: int = 0
    anchor: UTC
    #: Incidents that quote it, or did.
    incidents: tuple[str, ...] = ()


class RawItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A publication as its source gave it. Topic ``items.raw``, key ``publisher``."""

    schema: int = _VERSION
    #: Strongest first: guid, link, text.
    identities: tuple[Identity, ...]
    #: Configured, else the registrable domain; the station for radio.
    publisher: str
    source: Source
    state: State = "present"
    link: str = ""
    title: str = ""
    #: Plain text: markup has been taken out.
    text: str = ""
    #: What the feed itself said, where ``text`` is the article's page.
    summary: str = ""
    #: What is new in it, where the connector has read it before.
    changed: tuple[Literal["title", "text", "link", "enclosures"], ...] = ()
    #: Where it is set, as the source says (GeoRSS).
    point: Point | None = None
    #: As the source claims; none when it does not say.
    published: UTC | None = None
    updated: UTC | None = None
    #: When the connector read it.
    fetched: UTC
    #: It comes from where that reading was kept: what its source has said since stays.
    archived: bool = False
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    #: Present on radio items only.
    recording: Recording | None = None
    #: Present if and only if ``state`` is ``forgotten``.
    forgetting: Forgetting | None = None


class Sighting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another source of the same publication."""

    source: str
    #: Whether its text was the one shown when it was seen.
    same_text: bool


class UniqueItem(RawItem, frozen=True, kw_only=True, omit_defaults=True):
    """First sight, another text or link, a withdrawal, the end. Topic ``items.unique``, key ``id``."""

    #: Names the publication for ever; ``i`` and 24 hex digits.
    id: str
    #: Counts the publisher's texts, from 1.
    revision: int
    #: Fingerprint of the normalised title and text.
    content_hash: str
    first_seen: UTC
    #: Decides the month of the index; fixed at first sight.
    anchor: UTC
    seen_in: tuple[Sighting, ...] = ()


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """[start, end) in Unicode code points of a named field."""

    field: Literal["title", "text"]
    start: int
    end: int
    #: On radio: seconds from the start of the recording.
    start_s: Seconds | None = None
    end_s: Seconds | None = None


class Language(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What language a text is in."""

    #: BCP 47; ``und`` when not known.
    code: str = "und"
    confidence: Share = 0.0
    #: Others in a mixed text.
    others: tuple[str, ...] = ()
    #: ISO 15924, such as Latn or Arab.
    script: str = ""
    detector: str = ""


class Classification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An incident class, and why."""

    label: IncidentClass
    confidence: Share
    why: tuple[Span, ...] = ()


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an event took place, as far as the text tells."""

    start: UTC
    end: UTC
    precision: Literal["hour", "day", "week", "month"]
    span: Span | None = None


class Toll(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A count of people; bounds over the readings of a text or over the sources."""

    min: int
    max: int
    best: int
    quote: str = ""
    span: Span | None = None


class Tolls(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event cost."""

    killed: Toll | None = None
    injured: Toll | None = None
    abducted: Toll | None = None


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who did something, or to whom it was done."""

    name: str
    role: Literal["perpetrator", "target", "victim", "responder", "source"]
    id: str = ""
    kind: str = ""
    quote: str = ""
    span: Span | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that a text names."""

    name: str
    span: Span | None = None
    geonames_id: int | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    country: str = ""
    admin1: str = ""
    precision: Literal["exact", "town", "region", "country"] = "town"
    confidence: Share = 0.0
    role: Literal["scene", "mention"] = "mention"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event that a text tells of."""

    incident_class: Classification
    other_classes: tuple[Classification, ...] = ()
    #: Only what happened opens an incident.
    modality: Modality = "happened"
    when: When | None = None
    tolls: Tolls = Tolls()
    actors: tuple[Actor, ...] = ()
    #: Index into :attr:`TaggedItem.places`.
    place: int | None = None


class TaggedItem(UniqueItem, frozen=True, kw_only=True, omit_defaults=True):
    """An item, read. Topic ``items.tagged`` (one partition), key ``id``."""

    language: Language = Language()
    #: The first is the main event.
    events: tuple[Event, ...] = ()
    places: tuple[Place, ...] = ()
    #: What correlate compares; equal signatures are the same story.
    signature: str = ""
    #: Name -> version of everything that judged.
    models: dict[str, str] = {}

    @property
    def main_class(self) -> IncidentClass:
        """The class of the main event, or ``none``."""
        return self.events[0].incident_class.label if self.events else "none"


class Story(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which text an item carries."""

    #: ``s`` and 24 hex digits.
    id: str
    role: Literal["first", "copy", "variant"] = "first"
    similarity: Share = 1.0


class Item(TaggedItem, frozen=True, kw_only=True, omit_defaults=True):
    """What the index holds of a publication. Topic ``items`` (compacted), key ``id``."""

    #: Orders everything ever said about this id; also the index's external version.
    version: int
    story: Story | None = None
    incidents: tuple[str, ...] = ()
    #: ``topic/partition/offset`` of the raw record that this version came from.
    origin: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one independent story said of an incident."""

    item: str
    story: str
    source: str
    publisher: str
    link: str = ""
    language: str = "und"
    seen: UTC
    #: In the reporter's own words.
    quote: str = ""
    span: Span | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of an incident that a report changed."""

    version: int
    field: str
    before: str = ""
    after: str = ""
    because: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event in the world, over all reports. Topic ``incidents`` (compacted), key ``id``."""

    schema: int = _VERSION
    #: ``n`` and 24 hex digits.
    id: str
    version: int
    status: Literal["reported", "corroborated", "disputed", "retracted"] = "reported"
    incident_class: IncidentClass
    title: str = ""
    #: Earliest sight of any report.
    first_seen: UTC
    last_seen: UTC
    when: When | None = None
    place: Place | None = None
    actors: tuple[Actor, ...] = ()
    tolls: Tolls = Tolls()
    #: At most 100: the first of each independent story.
    reports: tuple[Report, ...] = ()
    #: Items in all, copies included.
    item_count: int = 0
    #: Stories, not copies.
    independent_sources: int = 0
    confidence: Share = 0.0
    changes: tuple[Change, ...] = ()
    #: False when only counts changed.
    material: bool = True
    merged_into: str = ""
    split_from: str = ""
    follows: str = ""
    models: dict[str, str] = {}
    origin: str = ""


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a source stands. Topic ``connectors.cursors`` (compacted), key source id."""

    schema: int = _VERSION
    source: str
    #: What the connector needs to go on; its own business, strings only.
    position: dict[str, str] = {}
    updated: UTC


class WatchedFeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A feed that somebody added, or paused, at run time.

    Topic ``connectors.feeds`` (compacted), key ``id``; a record without a value removes
    it. Without a ``url`` it only pauses or resumes a feed of the configuration file. No
    credentials: a feed that needs them stands in the configuration file.
    """

    schema: int = _VERSION
    id: str
    url: str = ""
    name: str = ""
    publisher: str = ""
    country: str = ""
    language: str = ""
    interval_s: Seconds = 0.0
    tags: tuple[str, ...] = ()
    full_text: bool = False
    paused: bool = False
    added: UTC


class Habit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was learned of a feed's ways, beside :attr:`FeedHealth.daily`."""

    #: How long that was watched, what is long ago counting less; 0: it is a guess.
    days: Seconds = 0.0
    #: New entries a day, over the last hours alone.
    recent: float = 0.0
    #: Between two polls that brought something new, on average lately; 0: not known.
    gap_s: Seconds = 0.0
    #: For how long it has answered without anything new.
    quiet_s: Seconds = 0.0
    #: In the feed when it was read last.
    entries: int = 0
    #: Not asked more rarely than so, since entries were missed; 0: no limit.
    ceiling_s: Seconds = 0.0
    #: How often it wants to be asked, by its own elements.
    wish_s: Seconds = 0.0
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()


class FeedHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a feed does, and when it is asked next. Topic ``connectors.health``, key source id.

    Written some seconds after the poll, never before what the poll gave is stored: after
    a crash a feed is asked again, nothing is skipped.
    """

    schema: int = _VERSION
    source: str
    #: What it is asked at now, without credentials.
    url: str = ""
    title: str = ""
    state: Literal["waiting", "good", "failing", "parked", "gone", "paused"] = "waiting"
    #: For a person: the last failure, or why it is parked or gone; '' when it is good.
    because: str = ""
    #: Of the last failure (``connectors.failures.FailureKind``); '' when it is good.
    failure: str = ""
    #: Graded sum of the failures since it was good last.
    failures: float = 0.0
    failed_in_a_row: int = 0
    polled: UTC | None = None
    good: UTC | None = None
    #: When a poll last brought something new.
    fresh: UTC | None = None
    next_poll: UTC | None = None
    interval_s: Seconds = 0.0
    #: New entries a day, as it is estimated; what the interval is chosen by.
    daily: float = 0.0
    habit: Habit = Habit()
    #: From the claimed publication of an entry to its reading: the median lately.
    lateness_s: Seconds = 0.0
    #: Since it is watched.
    polls: int = 0
    polls_new: int = 0
    published: int = 0
    edited: int = 0
    withdrawn: int = 0
    refused: int = 0
    #: Polls before which entries were probably missed.
    gaps: int = 0
    flags: tuple[
        Literal[
            "silent",  # alive, and nothing new for far longer than its habit
            "lying_validators",  # says 304 or keeps its ETag while its body changes
            "guids_change",  # a new guid for the same entry at each fetch
            "guids_shared",  # one guid for several entries
            "dates_bumped",  # new dates for old entries at each fetch
            "restless",  # new links, texts or files for old entries at each fetch
            "full_of_gaps",
        ],
        ...,
    ] = ()
    #: Where a permanent redirect leads, and how often in a row it did.
    moved_to: str = ""
    moved_times: int = 0
    moved_since: UTC | None = None
    #: When its validators were seen to be true, or tried.
    probed: UTC | None = None
    #: Until then a hub delivers (WebSub); None: nobody does.
    hub_until: UTC | None = None
    #: Where, and as what, it is subscribed; neither holds a secret.
    hub: str = ""
    topic: str = ""
    #: What was already said to the user, so that it is said once.
    told: tuple[str, ...] = ()
    #: Of the body that was last read.
    etag: str = ""
    last_modified: str = ""
    body: str = ""
    updated: UTC
