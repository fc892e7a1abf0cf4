"""``wirewatch feeds``, its commands within this process, against a site of its own."""

from __future__ import annotations

import json

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from typer.testing import CliRunner

from connectors.rss.shard import Shard
from console.cli import app
from console.feeds import LIMIT
from tests.newspaper import Site, a_newspaper


@pytest.fixture
def site() -> Iterator[Site]:
    with a_newspaper() as found:
        yield found


class Said(NamedTuple):
    """What a command wrote."""

    stdout: str
    stderr: str


class Desk:
    """The command on data of its own; ``where`` says which log, the embedded one if none."""

    def __init__(self, folder: Path, where: str = "") -> None:
        self.folder = folder
        self._options = ["--config", str(folder / "wirewatch.toml")]
        (folder / "wirewatch.toml").write_text(
            f"{where}\n[http]\nallow_private = ['127.0.0.1']\n[rss]\nhost_gap_s = 0.0\n"
        )

    def __call__(self, *words: str, code: int = 0, stdin: str = "") -> Said:
        """Run ``wirewatch feeds`` with *words*."""
        done = CliRunner().invoke(app, [*self._options, "feeds", *words], input=stdin)
        assert done.exit_code == code, (words, done.output, done.exception)
        return Said(done.stdout, done.stderr)

    def lines(self, *words: str, code: int = 0) -> list[Any]:
        """Run it; return its lines of JSON."""
        said = self(*words, "--json", code=code)
        return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    before = structlog.get_config()
    yield Desk(tmp_path)
    structlog.configure(**before)


def test_what_cannot_be_added_is_refused_with_the_reason(
    desk: Desk, site: Site
) -> None:
    desk("add", site("/moved"))
    (feed,) = desk.lines()
    assert feed["url"] == site("/papers/a"), "a permanent redirect is followed for good"
    for url, why in (
        (site("/papers/a/?utm_source=x"), "watched already"),
        (site("/moved"), "watched as"),
        (f"http://me:pw@{site.address}/papers/b", "put it into [[rss.feeds]]"),
        (site("/missing"), "404"),
        ("ftp://paper.example/", "not http or https"),
    ):
        refused = desk("add", url, code=1).stderr
        assert refused.startswith("refused: ")
        assert why in refused
        assert "pw" not in refused
    assert [one["id"] for one in desk.lines()] == [feed["id"]]


def test_a_list_goes_out_and_comes_back(desk: Desk) -> None:
    opml = (
        '<opml><outline text="Sahel"><outline xmlUrl="https://a.example/" text="A"/>'
        '<outline xmlUrl="https://b.example/" text="B &amp; co"></outline></outline>'
    )
    path = str(desk.folder / "list.opml")
    Path(path).write_text(opml)
    dry = desk("import", path, "--dry-run")
    assert "2 feeds would be added" in dry.stderr
    assert desk.lines() == []

    desk("import", path, "--tag", "radio")
    before = desk.lines()
    assert [feed["tags"] for feed in before] == [["Sahel", "radio"]] * 2
    out = desk("export").stdout
    desk("remove", "a.example/", "https://b.example/")
    assert desk.lines() == []
    desk("import", "-", stdin=out)

    def told(feeds: list[Any]) -> list[Any]:
        return [(f["id"], f["name"], f["tags"]) for f in feeds]

    assert told(desk.lines()) == told(before)
    again = desk("import", path)
    assert "0 feeds added, 2 watched already, 0 refused" in again.stderr


def test_what_is_no_list_is_not_imported(desk: Desk) -> None:
    for source, code, why in (
        ("/dev/zero", 1, "larger than 100 MB"),
        ("/nowhere", 3, "No such file"),
        (str(desk.folder), 3, "Is a directory"),
    ):
        assert why in desk("import", source, code=code).stderr
    assert desk.lines() == []


def test_a_limit_holds_for_lines_of_json_only_when_it_is_given(desk: Desk) -> None:
    many = LIMIT + 2
    desk("import", "-", stdin="".join(f"https://h{n}.example/\n" for n in range(many)))
    for words in ((), ("hosts",)):
        assert len(desk.lines(*words)) == many
        assert len(desk.lines(*words, "--limit", "1")) == 1
        assert "and 2 more: --limit 0 shows all" in desk(*words).stdout


def test_without_feeds_it_is_said_how_to_add_one(desk: Desk) -> None:
    for words in ((), ("hosts",)):
        assert "feeds add URL" in desk(*words).stdout


def test_the_list_says_whom_nobody_asks_what_is_not_there_and_which_shard(
    desk: Desk,
) -> None:
    desk("add", "https://a.example/feed", "--no-check", "--tag", "Africa")
    said = desk()
    assert "no connector runs: 'wirewatch run" in said.stderr
    none = desk("--state", "failing", code=1)
    assert "No feeds" not in none.stdout
    assert "none of those asked for" in none.stderr
    assert len(desk.lines("list", "africa")) == 1, "tags are searched too"
    own = 1 if Shard(1, 2).holds("a.example") else 2
    assert len(desk.lines("--shard", f"{own}/2")) == 1
    assert not desk.lines("--shard", f"{3 - own}/2", code=1)
    assert "such as 2/8" in desk("--shard", "x", code=2).stderr
    assert "did you mean" not in desk("--sort", "state", code=2).stderr


@pytest.mark.usefixtures("desk")
def test_the_list_is_changed_on_kafka_as_on_the_embedded_log(
    tmp_path: Path, kafka: str, prefix: str
) -> None:
    servers = f"mode = 'servers'\nprefix = '{prefix}'\n[kafka]\nbootstrap = '{kafka}'"
    desk = Desk(tmp_path, servers)
    assert desk.lines() == [], "there are no topics yet"
    addresses = "".join(f"https://h{n}.example/feed\n" for n in range(20))
    desk("import", "-", "--tag", "Sahel", stdin=addresses)
    desk("pause", "--host", "h7.example")
    desk("remove", "h8.example/feed")
    states = {feed["id"]: feed["state"] for feed in desk.lines()}
    assert len(states) == 19
    assert "h8.example/feed" not in states
    assert [one for one in states if states[one] == "paused"] == ["h7.example/feed"]
    desk("resume", "--tag", "Sahel")
    assert desk.lines("list", "--state", "paused", code=1) == []
    assert desk("export", "--tag", "Sahel").stdout.count("xmlUrl") == 19


def test_check_says_step_by_step_what_a_poll_would_find(desk: Desk, site: Site) -> None:
    steps = {one["what"]: one for one in desk.lines("check", site("/papers/a"))}
    assert "1 entry in 'Paper a'" in steps["format"]["detail"]
    assert "none are given" in steps["validators"]["detail"]
    assert "known again: 1 by their guid" in steps["identities"]["detail"]
    assert "asked every" in steps["interval"]["detail"]
    for url, what, why in (
        (site("/"), "format", "papers/comments: watch one of them"),
        (site("/missing"), "answer", "404: look at the address"),
        ("http://127.0.0.2:1/", "name", "not public"),
        ("http://nowhere.invalid/", "name", "nowhere.invalid"),
    ):
        last = desk.lines("check", url, code=1)[-1]
        assert (last["what"], last["ok"]) == (what, False)
        assert why in last["detail"]


def test_check_says_that_a_document_is_not_well_formed(desk: Desk, site: Site) -> None:
    steps = {one["what"]: one for one in desk.lines("check", site("/broken"))}
    assert "not well-formed" in steps["form"]["detail"]
    assert steps["form"]["look"]


def test_check_takes_the_date_of_an_update_where_no_other_is(
    desk: Desk, site: Site
) -> None:
    steps = {one["what"]: one for one in desk.lines("check", site("/atom"))}
    assert "1 say only when they were updated" in steps["dates"]["detail"]
    assert not steps["dates"]["look"]


def test_check_names_each_redirect_and_whether_it_lasts(desk: Desk, site: Site) -> None:
    there, at = f"{site('/moved')}?token=***", site("/papers/a")
    for path, detail, look in (
        ("/moved", f"301 to {at}: moved for good, watch it there", True),
        ("/there", f"302 to {there}, 301 to {at}: for now", False),
    ):
        steps = {one["what"]: one for one in desk.lines("check", site(path))}
        assert steps["redirects"] == {
            "what": "redirects",
            "ok": True,
            "detail": detail,
            "look": look,
        }


def test_discover_reports_the_feeds_that_a_page_names(desk: Desk, site: Site) -> None:
    found = desk.lines("discover", site("/"))
    assert [(one["url"], one["title"], one["entries"]) for one in found] == [
        (site("/papers/a"), "Paper a", 1),
        (site("/papers/comments"), "Paper comments", 1),
    ]


def test_an_unknown_feed_is_answered_with_the_nearest(desk: Desk) -> None:
    desk("add", "https://a.example/feed.xml", "--no-check")
    told = desk("pause", "a.example/fed.xml", code=2).stderr
    assert "did you mean" in told
    assert "a.example/feed.xml" in told


def test_an_added_feed_is_changed_and_a_configured_one_is_not(desk: Desk) -> None:
    desk("add", "https://a.example/feed", "--no-check", "--tag", "Old", "--name", "A")
    desk("pause", "a.example/feed")
    wishes = ("--interval", "7", "--tag", "Africa/Mali", "--language", "fr")
    said = desk("set", "https://a.example/feed", *wishes)
    assert "no oftener: that is rss.interval_min_s" in said.stderr
    (feed,) = desk.lines()
    assert (feed["interval_s"], feed["tags"]) == (7.0, ["Africa/Mali"])
    assert (feed["language"], feed["name"], feed["state"]) == ("fr", "A", "paused")
    desk("set", "a.example/feed", "--tag", "", "--interval", "0")
    (feed,) = desk.lines()
    assert not ({"tags", "interval_s"} & {k for k, v in feed.items() if v})
    assert (
        "language must be"
        in desk("set", "a.example/feed", "--language", "no language", code=1).stderr
    )
    desk("set", "a.example/feed", code=2)
    file = desk.folder / "wirewatch.toml"
    file.write_text(file.read_text() + "[[rss.feeds]]\nurl = 'https://c.example/'\n")
    refused = desk("set", "c.example/", "--interval", "9", code=1).stderr
    assert "change it there" in refused


def test_pausing_and_resuming_counts_what_it_changed(desk: Desk) -> None:
    desk("add", "https://a.example/1", "https://a.example/2", "--no-check")
    assert "1 feed paused; " in desk("pause", "a.example/1").stderr
    again = desk("pause", "a.example/1")
    assert (again.stdout, "as it was: a.example/1: it is paused" in again.stderr) == (
        "",
        True,
    )
    resumed = desk("resume", "--host", "a.example")
    assert resumed.stdout == "resumed: a.example/1\n"
    assert "1 feed resumed, 1 were not at rest" in resumed.stderr
    assert "it is waiting" in desk("resume", "a.example/2").stderr


def test_of_an_empty_document_the_sites_feeds_are_named_and_none_is_taken(
    desk: Desk, site: Site
) -> None:
    refused = desk("add", site("/blank/page"), code=1).stderr
    assert "it is empty; its site has these feeds, add one of them" in refused
    assert site("/blank/feed.xml") in refused
    assert desk.lines() == []


def test_a_list_without_a_feed_is_refused(desk: Desk) -> None:
    for text in ("", "\n", "<opml><body/></opml>"):
        assert "it lists no feed" in desk("import", "-", code=1, stdin=text).stderr
