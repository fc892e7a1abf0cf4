"""What an incident becomes when a report comes, changes or goes. Pure."""

from __future__ import annotations

import re

from typing import Any

import msgspec

from streams.correlate.memory import HeldIncident
from streams.records import (
    Change,
    Event,
    Incident,
    Item,
    Place,
    Report,
    Span,
    TaggedItem,
    Toll,
    Tolls,
)


CHANGES_MAX = 50
#: Copies that are remembered by name; more are counted, and found by ``incident:ID``.
STANDBY_MAX = 20
#: Code points of a quote.
QUOTE_MAX = 320
#: Of a title, a source's or a publisher's name, a link; a longer link is left out. The
#: item has them whole. An incident of 100 reports is to stay far below a record's limit,
#: or one bloated report would have every later one of the story refused.
TITLE_MAX = 1000
NAME_MAX = 200
LINK_MAX = 2000

#: A change of one of these is material.
_MATERIAL = (
    "status",
    "incident_class",
    "when",
    "place",
    "actors",
    "tolls",
    "independent_sources",
)
#: Fields whose values quote nobody.
_WORDLESS = ("status", "incident_class", "independent_sources")
_SENTENCE_END = re.compile(r"[.!?؟…।]+[\"'»”)]*\s|\n")


def entered(
    held: HeldIncident | None, item: Item, *, version: int, ident: str, known: bool
) -> HeldIncident:
    """Return the incident with *item*'s report in it.

    ``known`` says that *item* is counted already: then its report is made anew.
    """
    assert item.story is not None, item.id
    report = _report(item)
    if held is None or not held.incident.item_count:
        before = None if held is None else held.incident
        incident = _opened(item, report, ident=ident, version=version, before=before)
        return HeldIncident(incident=incident, story=item.story.id)
    before = held.incident
    leads = not before.reports or before.reports[0].item == item.id
    known = known or leads or any(r.item == item.id for r in held.standby)
    incident = msgspec.structs.replace(
        before,
        version=version,
        item_count=before.item_count + (not known),
        first_seen=min(before.first_seen, item.first_seen),
        last_seen=max(before.last_seen, item.fetched),
        origin=item.origin,
    )
    standby = held.standby
    if leads:
        incident = msgspec.structs.replace(
            incident, reports=(report,), **_facts(item, report)
        )
    else:
        others = tuple(r for r in standby if r.item != item.id)
        standby = (*others, report)[:STANDBY_MAX]
    return HeldIncident(
        incident=_dated(before, incident, item.id),
        story=item.story.id,
        standby=standby,
    )


def left(
    held: HeldIncident, item: Item, *, version: int, moved_to: str
) -> HeldIncident:
    """Return the incident without *item*'s report; retracted when it was the last.

    ``moved_to`` names the incident that *item* reports now; '' if it reports none.
    """
    before = held.incident
    led = before.reports[:1] != () and before.reports[0].item == item.id
    reports = tuple(r for r in before.reports if r.item != item.id)
    standby = tuple(r for r in held.standby if r.item != item.id)
    if not reports:
        reports, standby = standby[:1], standby[1:]
    count = max(0, before.item_count - 1)
    incident = msgspec.structs.replace(
        before,
        version=version,
        item_count=count,
        reports=reports,
        independent_sources=min(count, 1),
        status=before.status if count else "retracted",
        merged_into=before.merged_into if count else moved_to,
        origin=item.origin,
    )
    if led and reports:
        incident = _in_words_of(reports[0], incident)
    return HeldIncident(
        incident=_dated(before, incident, item.id), story=held.story, standby=standby
    )


def forgotten(
    held: HeldIncident, item: Item, *, version: int, member: bool
) -> HeldIncident:
    """Return the incident without a word of *item*'s, in reports, facts or changes.

    ``member`` says that *item* is known to be counted in it. Else it only was, before an
    edit; or we have forgotten the item, and its report is still there.
    """
    before = held.incident
    named = any(r.item == item.id for r in (*before.reports, *held.standby))
    if member or named:
        held = left(held, item, version=version, moved_to="")
    incident = msgspec.structs.replace(
        held.incident, version=version, origin=item.origin
    )
    if incident.reports:
        incident = _in_words_of(incident.reports[0], incident)
    else:
        incident = msgspec.structs.replace(
            incident, title="", when=None, place=None, actors=(), tolls=Tolls()
        )
    plain = tuple(one for one in incident.changes if one.field in _WORDLESS)
    material = any(
        getattr(before, name) != getattr(incident, name) for name in _MATERIAL
    )
    incident = msgspec.structs.replace(incident, changes=plain, material=material)
    return HeldIncident(incident=incident, story=held.story, standby=held.standby)


def stub(ident: str, item: Item, *, version: int) -> Incident:
    """Return what is issued of an incident that only its id is known of any more."""
    return Incident(
        id=ident,
        version=version,
        status="retracted",
        incident_class="none",
        first_seen=item.fetched,
        last_seen=item.fetched,
        origin=item.origin,
    )


def main_event(item: TaggedItem) -> Event | None:
    """Return the event that makes *item* a report: it is of a class, and happened."""
    if item.state != "present" or item.main_class == "none":
        return None
    return item.events[0] if item.events[0].modality == "happened" else None


def _opened(
    item: Item, report: Report, *, ident: str, version: int, before: Incident | None
) -> Incident:
    event = item.events[0]
    incident = Incident(
        id=ident,
        version=version,
        incident_class=event.incident_class.label,
        first_seen=item.first_seen,
        last_seen=item.fetched,
        reports=(report,),
        item_count=1,
        independent_sources=1,
        origin=item.origin,
    )
    incident = msgspec.structs.replace(incident, **_facts(item, report))
    if before is None:
        return incident
    again = msgspec.structs.replace(
        incident,
        first_seen=min(before.first_seen, incident.first_seen),
        changes=before.changes,
    )
    return _dated(before, again, item.id)


def _facts(item: Item, report: Report) -> dict[str, Any]:
    """Return what the leading report says of the event."""
    event = item.events[0]
    spoken = item.recording is not None
    return {
        "incident_class": event.incident_class.label,
        "title": (report.quote if spoken or not item.title else item.title)[:TITLE_MAX],
        "when": event.when,
        "place": _place(item, event),
        "actors": event.actors,
        "tolls": event.tolls,
        "confidence": event.incident_class.confidence,
        "models": item.models,
    }


def _in_words_of(report: Report, incident: Incident) -> Incident:
    """Return *incident* as *report* leads it: what only the one before it said goes.

    A copy tells of the same event, so that place, time and numbers stand; the spans and
    the quotes were of another item's text.
    """
    when, place, tolls = incident.when, incident.place, incident.tolls
    return msgspec.structs.replace(
        incident,
        title=report.quote,
        when=when and msgspec.structs.replace(when, span=None),
        place=place and msgspec.structs.replace(place, span=None),
        actors=tuple(
            msgspec.structs.replace(actor, quote="", span=None)
            for actor in incident.actors
        ),
        tolls=Tolls(
            killed=_unquoted(tolls.killed),
            injured=_unquoted(tolls.injured),
            abducted=_unquoted(tolls.abducted),
        ),
    )


def _unquoted(toll: Toll | None) -> Toll | None:
    return toll and msgspec.structs.replace(toll, quote="", span=None)


def _place(item: Item, event: Event) -> Place | None:
    return None if event.place is None else item.places[event.place]


def _dated(before: Incident, after: Incident, because: str) -> Incident:
    """Return *after* with what changed since *before* written into it."""
    fresh = tuple(
        Change(
            version=after.version,
            field=name,
            before=_words(getattr(before, name)),
            after=_words(getattr(after, name)),
            because=because,
        )
        for name in _MATERIAL
        if getattr(before, name) != getattr(after, name)
    )
    return msgspec.structs.replace(
        after,
        changes=(*before.changes, *fresh)[-CHANGES_MAX:],
        material=bool(fresh),
    )


def _words(value: object) -> str:
    """Return *value* as a person reads it in a list of changes."""
    if value is None:
        return ""
    if isinstance(value, str | int):
        return str(value)
    return msgspec.json.encode(value).decode()


def _report(item: Item) -> Report:
    assert item.story is not None, item.id
    span, quote = _quote(item)
    link = item.link or (item.recording.media_url if item.recording else "")
    return Report(
        item=item.id,
        story=item.story.id,
        source=item.source.id[:NAME_MAX],
        publisher=item.publisher[:NAME_MAX],
        link=link if len(link) <= LINK_MAX else "",
        language=item.language.code,
        seen=item.first_seen,
        quote=quote,
        span=span,
    )


def _quote(item: Item) -> tuple[Span | None, str]:
    """Return the deciding words' span, and the sentence around it, as written."""
    why = item.events[0].incident_class.why
    span = next((s for s in why if s.field == "text"), why[0] if why else None)
    if span is None:
        return None, (item.title or item.text)[:QUOTE_MAX]
    text = item.title if span.field == "title" else item.text
    return span, sentence_around(text, span.start, span.end)


def sentence_around(text: str, start: int, end: int) -> str:
    """Return the sentence of *text* with [start, end) in it, at most QUOTE_MAX long."""
    first, last = 0, len(text)
    for match in _SENTENCE_END.finditer(text):
        if match.end() <= start:
            first = match.end()
        elif match.start() >= end:
            last = match.end()
            break
    if last - first > QUOTE_MAX:
        # Transcripts often have no full stops: cut at words, the span in the middle.
        room = max(0, QUOTE_MAX - (end - start)) // 2
        first, last = max(first, start - room), min(last, end + room)
        first = first if not first else text.find(" ", first, start + 1) + 1 or first
        cut = text.rfind(" ", end, last)
        last = cut if cut > 0 and last < len(text) else last
    return " ".join(text[first:last].split())[:QUOTE_MAX]
