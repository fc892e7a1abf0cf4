"""``python -m evals.feeds FOLDER``: what we read of the test feeds that others collected.

FOLDER holds ``feedparser_tests.zip``, ``w3c_feedvalidator_testcases.zip`` with
``w3c_manifest.jsonl.gz``, ``rome_test_feeds.zip`` and
``mediacloud_rss_fetcher_fixtures.zip``; what is not there is passed over. Every document
goes the way of ``wirewatch inspect``: through the same function in a worker process, with
its limits on time and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import re
import sys
import time
import zipfile

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from connectors.parsers import PARSE_TIMEOUT_S, parsers
from connectors.rss import charset
from connectors.rss.document import FeedDocument
from connectors.rss.parse import parse
from evals.claims import Verdict, claims_of, headers_of, verdict
from streams.errors import PoolCallError, SourceError
from streams.settings import Settings


#: So many examples of each kind of difference go into the JSON.
EXAMPLES_MAX = 5
FEEDPARSER = "feedparser"
W3C = "w3c"
ARCHIVES = {
    FEEDPARSER: "feedparser_tests.zip",
    W3C: "w3c_feedvalidator_testcases.zip",
    "rome": "rome_test_feeds.zip",
    "mediacloud": "mediacloud_rss_fetcher_fixtures.zip",
}
MANIFEST = "w3c_manifest.jsonl.gz"
_SUFFIXES = (".xml", ".rss", ".json", ".html", ".opml")
_ENTRIES = re.compile(r"<(?:\w+:)?(?:item|entry)(?=[\s/>])", re.IGNORECASE)
_NOT_MARKUP = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)


class Case(NamedTuple):
    """One document of a corpus."""

    corpus: str
    name: str
    body: bytes
    #: Of what it is an example: a folder of its corpus, and for W3C valid or invalid.
    kind: str


class Outcome(NamedTuple):
    """What came of a case."""

    case: Case
    document: FeedDocument | None
    refusal: str
    seconds: float
    verdicts: tuple[Verdict, ...] = ()
    #: The worker that read it died or was too slow.
    broke: bool = False


def cases(folder: Path) -> Iterator[Case]:
    """Yield the documents in the archives of *folder*."""
    valid = _manifest(folder / MANIFEST)
    for corpus, file in ARCHIVES.items():
        if not (folder / file).exists():
            continue
        with zipfile.ZipFile(folder / file) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(_SUFFIXES):
                    body = archive.read(name)
                    yield Case(corpus, name, body, _kind(corpus, name, valid))


def _manifest(path: Path) -> dict[str, bool]:
    if not path.exists():
        return {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["text"]: row["valid"] for row in rows}


def _kind(corpus: str, name: str, valid: dict[str, bool]) -> str:
    parts = name.split("/")
    if corpus == W3C:
        known = valid.get(name)
        claim = {True: "valid", False: "invalid", None: "not listed"}[known]
        return f"{parts[1]}, {claim}"
    if corpus == FEEDPARSER:
        return "/".join(parts[1:-1])
    return parts[0]


def read(case: Case) -> Outcome:
    """Read one document and hold it against what it claims; runs in a worker."""
    told = charset.decode(case.body) if case.corpus == FEEDPARSER else ""
    headers = headers_of(told)
    began = time.perf_counter()
    try:
        document = parse(
            case.body,
            content_type=headers.get("content-type", ""),
            content_language=headers.get("content-language", ""),
            url=headers.get("content-location", ""),
        )
    except SourceError as error:
        return Outcome(case, None, str(error), time.perf_counter() - began)
    seconds = time.perf_counter() - began
    served = (case.body, headers.get("content-type", ""))
    verdicts = tuple(verdict(claim, document, *served) for claim in claims_of(told))
    return Outcome(case, document, "", seconds, verdicts)


async def run(folder: Path) -> list[Outcome]:
    """Read every case, one after the other, within the limits of the connector."""
    outcomes = []
    async with parsers(Settings().rss, name="evals") as pool:
        for case in cases(folder):
            try:
                outcomes.append(await pool.run(read, case))
            except PoolCallError as error:
                broken = Outcome(case, None, str(error), PARSE_TIMEOUT_S, broke=True)
                outcomes.append(broken)
    return outcomes


class Row(NamedTuple):
    """One line of the table."""

    corpus: str
    kind: str
    documents: int
    read: int
    entries: int
    #: Documents in which we found as many entries as there are start tags of them.
    counted: int
    claims: int
    agree: int
    without: int


def rows(outcomes: list[Outcome]) -> list[Row]:
    """Return a row for each kind of document of each corpus."""
    groups: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.case.corpus, outcome.case.kind].append(outcome)
    return [_row(corpus, kind, group) for (corpus, kind), group in groups.items()]


def _by_corpus(outcomes: list[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    for corpus in ARCHIVES:
        of = [one for one in outcomes if one.case.corpus == corpus]
        if of:
            yield f"all of {corpus}", of


def _row(corpus: str, kind: str, group: list[Outcome]) -> Row:
    documents = [(one, one.document) for one in group if one.document is not None]
    judged = Counter(v.agrees for one in group for v in one.verdicts)
    return Row(
        corpus=corpus,
        kind=kind,
        documents=len(group),
        read=len(documents),
        entries=sum(len(document.entries) for _, document in documents),
        counted=sum(_tags(one.case) == len(doc.entries) for one, doc in documents),
        claims=judged[True] + judged[False],
        agree=judged[True],
        without=judged[None],
    )


def _tags(case: Case) -> int:
    text = charset.decode(case.body)
    if text.lstrip().startswith("{"):
        return len(json.loads(text).get("items", []))
    return len(_ENTRIES.findall(_NOT_MARKUP.sub("", text)))


def differences(outcomes: list[Outcome]) -> dict[str, list[dict[str, Any]]]:
    """Return by field what we read otherwise than the document claims."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        for one in outcome.verdicts:
            if one.agrees is False:
                found[f"{outcome.case.kind}: {one.claim.field}"].append(
                    {
                        "document": outcome.case.name,
                        "claimed": str(one.claim.value),
                        "ours": str(one.ours),
                    }
                )
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def refusals(outcomes: list[Outcome]) -> dict[str, int]:
    """Return how often each reason was given for not reading a document."""
    said = Counter(
        f"{one.case.corpus}, {one.case.kind}: {one.refusal}"
        for one in outcomes
        if one.refusal
    )
    return dict(said.most_common())


def report(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return everything that is to be known, fit for JSON."""
    slowest = max(outcomes, key=lambda one: one.seconds)
    others = differences(outcomes)
    return {
        "documents": len(outcomes),
        "seconds": round(sum(one.seconds for one in outcomes), 2),
        "slowest": {"name": slowest.case.name, "seconds": round(slowest.seconds, 3)},
        "broke": [one.case.name for one in outcomes if one.broke],
        "rows": [row._asdict() for row in rows(outcomes)],
        "totals": [_row(name, "", of)._asdict() for name, of in _by_corpus(outcomes)],
        "refusals": refusals(outcomes),
        "differences": {field: len(found) for field, found in others.items()},
        "examples": {field: found[:EXAMPLES_MAX] for field, found in others.items()},
    }


def show(found: dict[str, Any]) -> str:
    """Return the table of a report."""
    table = Table(box=None, pad_edge=False)
    heads = ("corpus", "kind", "documents", "read", "entries", "all counted")
    for head in (*heads, "claims", "agree", "share", "no such field"):
        table.add_column(head, justify="left" if head in heads[:2] else "right")
    for values in (*found["rows"], *found["totals"]):
        row = Row(**values)
        share = f"{100 * row.agree / row.claims:.1f} %" if row.claims else ""
        figures = (row.documents, row.read, row.entries, row.counted)
        told = (*figures, row.claims, row.agree)
        cells = [f"{value:,}" for value in told]
        table.add_row(row.corpus, row.kind, *cells, share, f"{row.without:,}")
    out = io.StringIO()
    Console(file=out, width=140).print(table)
    return out.getvalue().rstrip()


def main() -> None:
    """Print the table; with ``--json FILE`` write everything there.

    Exits with 1 when a document broke the worker that read it.
    """
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--json", type=Path, default=None)
    chosen = arguments.parse_args()
    outcomes = asyncio.run(run(chosen.folder))
    if not outcomes:
        sys.exit(f"there is none of the archives in {chosen.folder}")
    found = report(outcomes)
    print(show(found))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if found["broke"]:
        sys.exit("these broke their worker: " + ", ".join(found["broke"]))


if __name__ == "__main__":
    main()
