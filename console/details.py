"""Everything about one item or one incident, for a person. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from console import escape, wording
from console.cards import indented
from streams.records import (
    Actor,
    Change,
    Event,
    Incident,
    Item,
    Recording,
    Report,
    Span,
)


WHY_STYLE = "bold underline"
SEGMENTS_SHOWN = 40
CHANGES_SHOWN = 20


def item(item: Item, siblings: Sequence[Item] = ()) -> list[RenderableType]:
    """Return *item*; ``siblings`` are other items of its story."""
    parts: list[RenderableType] = [
        escape.shown(wording.item_title(item), "bold"),
        _table(_about_item(item)),
    ]
    if item.link:
        parts.append(_copied("link", escape.link(item.link, "blue")))
    for number, event in enumerate(item.events, 1):
        parts += _section(f"event {number}" if len(item.events) > 1 else "event")
        parts.append(_table(_about_event(item, event)))
    if item.story is not None:
        parts += _section("story")
        parts.append(_table(_about_story(item)))
        parts += [indented(_sibling(other)) for other in siblings]
    parts += _section("text")
    parts += recording(item.recording, _deciding(item)) or [
        indented(_highlighted(item))
    ]
    if item.summary:
        parts += _section("what the feed said of it")
        parts.append(indented(Text(escape.block(item.summary))))
    return parts


def incident(
    incident: Incident, names: Mapping[str, str] | None = None
) -> list[RenderableType]:
    """Return *incident* with its reports and what changed.

    ``names`` has what people call the source of a report, by the report's item.
    """
    names = names or {}
    parts: list[RenderableType] = [
        escape.shown(wording.title(incident), "bold"),
        _table(_about_incident(incident)),
    ]
    parts += _section(wording.counted(len(incident.reports), "report"))
    for number, report in enumerate(incident.reports, 1):
        parts += _report(number, report, names.get(report.item, report.source))
    if incident.item_count > len(incident.reports):
        found = f"all {incident.item_count:,} items: wirewatch search incident:{incident.id}"
        parts.append(Text(found, style="dim"))
    if incident.changes:
        parts += _section("changes")
        parts.append(_changes(incident.changes[-CHANGES_SHOWN:]))
    return parts


def why(item: Item, spans: Sequence[Span]) -> Text:
    """Return the words that decided, each with where it stands."""
    return Text(", ").join(_quoted(item, span) for span in spans)


def _about_item(item: Item) -> Iterator[tuple[str, Text]]:
    yield "id", escape.shown(item.id)
    if item.state == "withdrawn":
        yield "state", Text("withdrawn by its publisher", style="bold red")
    if item.forgetting is not None:
        told = f"forgotten on {wording.moment(item.fetched)}"
        yield "state", escape.shown(f"{told}: {item.forgetting.because}", "bold red")
    source = item.source
    other = wording.source_name(source) != source.id
    known = f"{source.connector}, {source.id}" if other else source.connector
    yield "source", escape.shown(f"{wording.source_name(source)} ({known})")
    yield "publisher", escape.shown(item.publisher)
    if item.authors:
        yield "by", escape.shown(", ".join(item.authors))
    language = item.language
    said = [language.code, f"{language.confidence:.0%} sure", language.detector]
    said += [f"also {', '.join(language.others)}"] if language.others else []
    yield "language", escape.shown(", ".join(part for part in said if part))
    yield "published", Text(wording.moment(item.published))
    yield "first seen", Text(wording.moment(item.first_seen))
    if item.categories:
        yield "categories", escape.shown(", ".join(item.categories))
    changed = f", new in it: {', '.join(item.changed)}" if item.changed else ""
    yield "revision", Text(f"{item.revision} (version {item.version}){changed}")
    for seen in item.seen_in:
        same = "the same text" if seen.same_text else "another text"
        yield "also in", escape.shown(f"{seen.source}, {same}")
    yield from _places(item)
    for name in item.incidents:
        yield "incident", escape.shown(name, "cyan")
    if item.models:
        judged = ", ".join(f"{name} {v}" for name, v in sorted(item.models.items()))
        yield "judged by", escape.shown(judged, "dim")


def _places(item: Item) -> Iterator[tuple[str, Text]]:
    if item.point is not None:
        at = f"{item.point.lat:.4f}, {item.point.lon:.4f}, as its source says"
        yield "set at", Text(at)
    for place in item.places:
        known = f"{wording.place_name(place)} ({place.role}, {place.precision})"
        yield "place", escape.shown(known)


def _about_event(item: Item, event: Event) -> Iterator[tuple[str, Text]]:
    for at, found in enumerate((event.incident_class, *event.other_classes)):
        label = wording.class_name(found.label)
        yield "or" if at else "class", label.append(f" {found.confidence:.0%}", "dim")
        if found.why:
            yield "because of", why(item, found.why)
    yield "modality", Text(event.modality)
    if event.when is not None:
        yield "when", Text(wording.period(event.when))
    if event.place is not None and event.place < len(item.places):
        yield "where", escape.shown(wording.place_name(item.places[event.place]))
    for name, toll in wording.tolls(event.tolls):
        yield name, _with_quote(wording.toll(toll), toll.quote)
    yield from _actors(event.actors)


def _about_story(item: Item) -> Iterator[tuple[str, Text]]:
    assert item.story is not None
    yield "id", escape.shown(item.story.id)
    role = {"first": "the first of it", "copy": "a copy", "variant": "a variant"}
    alike = f"{role[item.story.role]} ({item.story.similarity:.0%} alike)"
    yield "this is", Text(role["first"] if item.story.role == "first" else alike)


def _about_incident(incident: Incident) -> Iterator[tuple[str, Text]]:
    yield "id", Text(incident.id)
    yield "class", wording.class_name(incident.incident_class)
    yield "status", Text(wording.sources(incident))
    if incident.when is not None:
        yield "when", Text(wording.period(incident.when))
    if incident.place is not None:
        yield "where", escape.shown(wording.place_name(incident.place))
    for name, toll in wording.tolls(incident.tolls):
        yield name, _with_quote(wording.toll(toll), toll.quote)
    yield from _actors(incident.actors)
    yield "first seen", Text(wording.moment(incident.first_seen))
    yield "last seen", Text(wording.moment(incident.last_seen))
    linked = (
        ("merged into", incident.merged_into),
        ("split from", incident.split_from),
        ("follows", incident.follows),
    )
    for name, other in linked:
        if other:
            yield name, escape.shown(other, "cyan")


def _actors(actors: Sequence[Actor]) -> Iterator[tuple[str, Text]]:
    for actor in actors:
        yield actor.role, _with_quote(actor.name, actor.quote)


def _report(number: int, report: Report, source: str) -> list[RenderableType]:
    head = Table.grid(padding=(0, 1))
    head.add_column(min_width=3, justify="right", style="dim")
    parts = [source, report.language, wording.moment(report.seen)]
    span = report.span
    if span is not None and span.start_s is not None:
        parts.append(f"at {wording.clock_time(span.start_s)}")
    head.add_row(str(number), escape.shown(" · ".join(parts)))
    lines: list[RenderableType] = [head]
    if report.quote:
        lines.append(indented(escape.shown(f"“{report.quote}”", "italic")))
    if report.link:
        lines.append(Text("    ").append_text(escape.link(report.link, "blue")))
    lines.append(Text("    ").append_text(escape.shown(report.item, "dim")))
    return lines


def _sibling(other: Item) -> Text:
    parts = (
        other.id,
        other.story.role if other.story else "",
        wording.source_name(other.source),
        wording.dated(other),
    )
    return escape.shown(" · ".join(part for part in parts if part))


def recording(
    spoken: Recording | None, deciding: Collection[str] = ()
) -> list[RenderableType]:
    """Return the segments of a transcript, each with its time; [] if there are none.

    Words that were *deciding* are marked wherever they are said.
    """
    if spoken is None or not spoken.segments:
        return []
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", justify="right")
    for segment in spoken.segments[:SEGMENTS_SHOWN]:
        words = [segment.speaker, segment.text] if segment.speaker else [segment.text]
        line = escape.shown(": ".join(words))
        line.highlight_words(deciding, WHY_STYLE)
        table.add_row(wording.clock_time(segment.start_s), line)
    parts: list[RenderableType] = [indented(table)]
    if (left := len(spoken.segments) - SEGMENTS_SHOWN) > 0:
        more = f"and {wording.counted(left, 'segment')} more: --json shows all"
        parts.append(indented(Text(more, style="dim")))
    facts = [f"recorded {wording.moment(spoken.recorded)} ({spoken.recorded_from})"]
    if spoken.recognizer is not None:
        facts.append(f"by {spoken.recognizer.engine} {spoken.recognizer.model}")
    facts += spoken.marks
    parts.append(indented(escape.shown(" · ".join(facts), "dim")))
    return parts


def _deciding(item: Item) -> set[str]:
    """Return the words of the text that decided, as they are shown."""
    spans = [span for event in item.events for span in event.incident_class.why]
    return {
        escape.line(item.text[span.start : span.end])
        for span in spans
        if span.field == "text" and span.end > span.start
    }


def _highlighted(item: Item) -> Text:
    """Return the text with the words that decided marked in it.

    Escaping changes lengths, so the parts between the marks are escaped one by one.
    """
    found = [span for event in item.events for span in event.incident_class.why]
    value, text, at = item.text, Text(), 0
    for span in sorted((s for s in found if s.field == "text"), key=lambda s: s.start):
        if span.start < at:
            continue
        text.append(escape.block(value[at : span.start]))
        text.append(escape.line(value[span.start : span.end]), style=WHY_STYLE)
        at = span.end
    return text.append(escape.block(value[at:]))


def _quoted(item: Item, span: Span) -> Text:
    value = item.title if span.field == "title" else item.text
    text = escape.shown(f"“{value[span.start : span.end]}”")
    where = f" {span.field} {span.start}"
    if span.start_s is not None:
        where = f" at {wording.clock_time(span.start_s)}"
    return text.append(where, style="dim")


def _with_quote(fact: str, quote: str) -> Text:
    text = escape.shown(fact)
    return (
        text.append(escape.line(f"  “{quote}”"), style="italic dim") if quote else text
    )


def _changes(changes: Sequence[Change]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for change in changes:
        table.add_row(
            Text(change.field.replace("_", " ")),
            escape.shown(f"{change.before or '-'} → {change.after or '-'}"),
            escape.shown(change.because, "dim"),
        )
    return indented(table)


def _section(name: str) -> list[RenderableType]:
    return ["", Rule(Text(name, style="bold"), align="left", style="dim")]


def _table(rows: Iterator[tuple[str, Text]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=12, no_wrap=True)
    for name, value in rows:
        table.add_row(Text(name), value)
    return table


def _copied(name: str, value: Text) -> Text:
    return Text(f"{name:<14}", style="dim").append_text(value)
