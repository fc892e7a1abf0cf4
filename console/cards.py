"""A search result as a person reads it, and as a program does. Pure."""

from __future__ import annotations

import re

from collections.abc import Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from console import escape, wording
from mappings.face import Hit
from streams.records import Incident, Item


#: What stands around the words that were found (:class:`mappings.face.Hit`).
MARK_START, MARK_END = "\ue000", "\ue001"
_MARKED = re.compile(f"{MARK_START}(.*?){MARK_END}", re.DOTALL)
_MARKS = re.compile(f"[{MARK_START}{MARK_END}]")
HIT_STYLE = "bold bright_yellow"
INDENT = 4
BAR_CELLS = 12
#: The field of a query that a facet's values are of.
FACET_FIELDS = {
    "class": "class",
    "language": "lang",
    "source": "source",
    "day": "after",
}
_PLAIN = re.compile(r"[\w./-]+")


def card(hit: Hit, number: int, *, styled: bool) -> list[RenderableType]:
    """Return result *number*; without styles, hits stand between asterisks.

    A snippet that is a stretch of the title marks its hits there.
    """
    document = hit.document
    title = wording.title(document)
    in_title: list[tuple[int, int]] = []
    snippets = []
    for snippet in hit.snippets:
        text, spans = marked(snippet.strip("…"))
        if (at := title.find(text)) >= 0:
            in_title += [(start + at, end + at) for start, end in spans]
        else:
            snippets.append(snippet)
    head = Table.grid(padding=(0, 1))
    head.add_column(min_width=INDENT - 1, justify="right", style="dim")
    head.add_column(overflow="fold")
    heading = _highlighted(title, in_title, styled=styled)
    heading.stylize_before("bold")
    head.add_row(str(number), heading)
    return [
        head,
        indented(_about(document)),
        *(indented(_highlighted(*marked(one), styled=styled)) for one in snippets),
        *(Text(" " * INDENT).append_text(name) for name in _names(document)),
        "",
    ]


def indented(part: RenderableType, cells: int = INDENT) -> Padding:
    """Return *part* set in; no spaces after its lines."""
    return Padding(part, (0, 0, 0, cells), expand=False)


def as_json(hit: Hit) -> dict[str, Any]:
    """Return a result for programs; hits are [start, end) in code points."""
    kind = "incident" if isinstance(hit.document, Incident) else "item"
    snippets = []
    for snippet in hit.snippets:
        text, spans = marked(snippet)
        snippets.append({"text": text, "hits": spans})
    return {
        "type": kind,
        "score": hit.score,
        "snippets": snippets,
        "document": hit.document,
    }


def marked(snippet: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a snippet without its marks, and where they were."""
    text, at = "", 0
    spans: list[tuple[int, int]] = []
    snippet = snippet.replace(MARK_END + MARK_START, "")  # hits that touch are one
    for match in _MARKED.finditer(snippet):
        text += _MARKS.sub("", snippet[at : match.start()])
        word = _MARKS.sub("", match[1])
        spans.append((len(text), len(text) + len(word)))
        text += word
        at = match.end()
    return text + _MARKS.sub("", snippet[at:]), spans


def facets(counts: Mapping[str, Sequence[tuple[str, int]]]) -> RenderableType:
    """Return counts side by side, each with a bar."""
    return Columns(
        [_facet(name, rows) for name, rows in counts.items() if rows],
        padding=(1, 4),
    )


def narrowing(counts: Mapping[str, Sequence[tuple[str, int]]]) -> Text:
    """Return how a query is narrowed by the first value of each facet."""
    terms = []
    for name, field in FACET_FIELDS.items():
        values = [value for value, _ in counts.get(name, ()) if value != "none"]
        terms += [f"{field}:{_word(values[0])}"] if values else []
    return escape.shown(
        f"To narrow, add to the query such as: {'  '.join(terms)}", "dim"
    )


def _word(value: str) -> str:
    """Return *value* as a query has it: what is more than a word in quotes."""
    return value if _PLAIN.fullmatch(value) else f'"{value}"'


def _facet(name: str, rows: Sequence[tuple[str, int]]) -> Table:
    most = max(count for _, count in rows)
    table = Table.grid(padding=(0, 1))
    table.title, table.title_justify = Text(f"by {name}", style="bold"), "left"
    for value, count in rows:
        bar = "▇" * max(1, round(BAR_CELLS * count / most))
        table.add_row(
            escape.shown(value.replace("_", " ") if name == "class" else value),
            Text(f"{count:,}", style="bold"),
            Text(bar, style="blue"),
        )
    table.columns[1].justify = "right"
    return table


def _about(document: Item | Incident) -> Text:
    """Return class, language, source and time on a line."""
    if isinstance(document, Incident):
        label = wording.class_name(document.incident_class)
        rest = [Text(wording.sources(document)), wording.facts(document)]
        rest.append(Text(f"last seen {wording.moment(document.last_seen)}"))
    else:
        label = wording.class_name(document.main_class)
        rest = [
            escape.shown(document.language.code),
            escape.shown(wording.source_name(document.source)),
            Text(wording.dated(document)),
        ]
    return Text(" · ", style="dim").join([label, *(part for part in rest if part)])


def _highlighted(text: str, spans: list[tuple[int, int]], *, styled: bool) -> Text:
    """Return *text* with its hits marked, in colour or between asterisks."""
    line, at = Text(), 0
    for start, end in spans:
        line.append(escape.line(text[at:start]))
        found = escape.line(text[start:end])
        line.append(found if styled else f"*{found}*", HIT_STYLE if styled else "")
        at = end
    return line.append(escape.line(text[at:]))


def _names(document: Item | Incident) -> list[Text]:
    """Return link and id, to be copied; never folded."""
    if isinstance(document, Incident):
        return [Text(document.id, style="dim")]
    lines = [escape.link(document.link, "blue")] if document.link else []
    return [*lines, escape.shown(document.id, "dim")]
