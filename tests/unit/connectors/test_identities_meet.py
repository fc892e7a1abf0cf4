"""What a feed's entries are called by, as dedupe takes it: an entry, a publication."""

import random

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.rss.document import Entry, FeedDocument
from connectors.rss.reading import compare, remembered
from connectors.rss.subscription import subscription
from streams import events
from streams.dedupe.decide import decide
from streams.log.face import Record
from streams.records import RawItem, UniqueItem
from streams.settings import Feed
from streams.stage import Received
from streams.topics import RAW


START = datetime(2026, 11, 5, 12, tzinfo=UTC)
SHOWN = 12
#: So many readings end in the middle, and are done again.
CRASHES = 0.2
KINDS = (
    "good",
    "guids_change",
    "guids_shared",
    "no_guids",
    "guids_reused",
    "spelled",
    "links_change",
)


class Dedupe:
    """A partition of raw records, and what dedupe said of them."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self.said: list[UniqueItem] = []
        self._at = 0

    def take(self, *items: RawItem) -> None:
        for item in items:
            self._decide(item)

    def _decide(self, item: RawItem) -> None:
        value = events.encode(item)
        record = Record(RAW.name, 0, self._at, 1_000 * self._at, b"", value, ())
        self._at += 1
        decision = decide(Received(record, item), self.state)
        for key, written in decision.writes.items():
            if written is None:
                self.state.pop(key, None)
            else:
                self.state[key] = written
        self.said += [
            events.decode(UniqueItem, output.value)
            for output in decision.outputs
            if output.value is not None
        ]


class Story(NamedTuple):
    """An article as its newsroom knows it."""

    number: int
    version: int = 1

    @property
    def text(self) -> str:
        return f"Story {self.number}, as it is known by now: take {self.version * 'x'}."


class Site:
    """A newsroom, whose feed has one of the bad habits that feeds have."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.rng = random.Random(seed)
        self.now = START
        self.stories = [Story(number) for number in range(SHOWN)]

    def goes_on(self) -> None:
        """Publish, or correct, some stories."""
        self.now += timedelta(minutes=10)
        for _ in range(self.rng.randrange(4)):
            self.stories.append(Story(len(self.stories)))
        for at in self.rng.sample(
            range(len(self.stories) - SHOWN, len(self.stories)), 2
        ):
            if self.rng.random() < 0.3:
                self.stories[at] = Story(at, self.stories[at].version + 1)

    def feed(self) -> FeedDocument:
        entries = tuple(self._entry(story) for story in self.stories[: -SHOWN - 1 : -1])
        return FeedDocument("Paper", "https://paper.example/", "en", entries)

    def _entry(self, story: Story) -> Entry:
        token = self.rng.getrandbits(40)
        guid = {
            "good": f"tag:paper.example,2026:{story.number}",
            "guids_change": f"urn:uuid:{token:x}",
            "guids_shared": "tag:paper.example,2026:all",
            "no_guids": "",
            "guids_reused": f"tag:paper.example,2026:slot-{story.number % SHOWN}",
            "spelled": self.rng.choice(
                (
                    f"https://paper.example/?p={story.number}",
                    f"http://www.Paper.example/?utm_source={token}&p={story.number}#1",
                )
            ),
            "links_change": f"tag:paper.example,2026:{story.number}",
        }[self.kind]
        return Entry(
            guid=guid,
            link=self._link(story, token),
            title=f"Headline {story.number}",
            text=story.text + self._counter(token),
            published=START + timedelta(minutes=story.number),
        )

    def _counter(self, token: int) -> str:
        # With a new link it would come along, as what it is: another text.
        return "" if self.kind == "links_change" else f"\n{token % 90} comments"

    def _link(self, story: Story, token: int) -> str:
        if self.kind == "links_change":
            return f"https://paper.example/{token:x}/{story.number}"
        return f"https://paper.example/news/{story.number}/?utm_campaign={token}"


def titles(said: list[UniqueItem]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in said:
        found.setdefault(item.id, set()).add(item.title)
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_one_publication_whatever_its_feed_does_to_guids(
    kind: str, seed: int
) -> None:
    site, dedupe, memory = Site(kind, seed), Dedupe(), b""
    about = subscription(Feed(url="https://paper.example/feed.xml"))
    told: list[RawItem] = []
    versions = set()
    for _ in range(12):
        document = site.feed()
        reading = compare(document, about, site.now, memory)
        assert not reading.gap
        if site.rng.random() < CRASHES:
            stored = reading.items[: len(reading.items) // 2]
            told += stored
            # Also what the memory covers, as after a cursor that did not say so.
            covered = site.rng.randrange(len(told) - len(stored) + 1)
            memory = remembered(memory, told[covered:])
            dedupe.take(*stored)
            reading = compare(document, about, site.now, memory)
        memory = reading.memory
        dedupe.take(*reading.items)
        told += reading.items
        versions |= {
            (f"Headline {story.number}", story.text) for story in site.stories[-SHOWN:]
        }
        site.goes_on()

    found = titles(dedupe.said)
    assert all(len(names) == 1 for names in found.values())
    assert len(found) == len({title for title, _ in versions})
    # Under one revision only links change.
    revisions = {(one.id, one.revision): one for one in reversed(dedupe.said)}.values()
    shown = [(one.title, one.text.partition("\n")[0]) for one in revisions]
    assert sorted(shown) == sorted(versions)
    assert all("text" in one.changed for one in revisions if one.revision > 1)
    again = [one for one in dedupe.said if one not in revisions]
    assert all(one.changed == ("link",) for one in again)
    assert kind == "links_change" or not again


def test_two_feeds_of_a_site_give_one_publication_though_one_changes_its_guids() -> (
    None
):
    good, bad, dedupe = Site("good", 1), Site("guids_change", 1), Dedupe()
    for name, site in (("all", good), ("world", bad)):
        about = subscription(Feed(url=f"https://paper.example/{name}.xml"))
        memory = b""
        for _ in range(3):
            reading = compare(site.feed(), about, site.now, memory)
            memory = reading.memory
            dedupe.take(*reading.items)
    assert len(titles(dedupe.said)) == SHOWN


@pytest.mark.parametrize(
    "guid", ["4711", "12:30", "Episode: 12", "News of the evening, 12"]
)
def test_what_two_feeds_of_a_site_call_by_the_same_words_are_two_publications(
    guid: str,
) -> None:
    dedupe = Dedupe()
    for name in ("africa", "world"):
        about = subscription(Feed(url=f"https://paper.example/{name}.xml"))
        found = Entry(
            guid=guid,
            link=f"https://paper.example/{name}/12",
            title=f"The news, {name}",
            text=f"What has happened: {name}, told in a sentence that is long enough.",
            published=START,
        )
        document = FeedDocument("Paper", "https://paper.example/", "en", (found,))
        dedupe.take(*compare(document, about, START, b"").items)
    assert len(titles(dedupe.said)) == 2
