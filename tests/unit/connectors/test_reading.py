"""Identity, edits, retractions and gaps: what a feed's documents make of each other."""

import random

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.rss import matching, memory
from connectors.rss.document import Entry, FeedDocument
from connectors.rss.memory import (
    TAIL_MAX,
    TRACE_BYTES,
    TRACES_MAX,
    Memory,
    Trace,
    as_bytes,
    as_text,
    pack,
    unpack,
)
from connectors.rss.reading import Reading, compare, look_into, remembered
from connectors.rss.subscription import subscription
from streams.records import Enclosure, RawItem
from streams.settings import Feed
from streams.topics import CURSORS, size_limit


NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
FEEDS = Path(__file__).parent / "feeds"
ABOUT = subscription(Feed(url="https://e.example/feed.xml"))


def entry(number: int, **parts: Any) -> Entry:
    usual = Entry(
        guid=f"tag:e.example,2026:{number}",
        link=f"https://e.example/news/{number}",
        title=f"Title {number}",
        text=f"What happened to number {number}, told in a sentence that is long enough.",
        published=NOW - timedelta(hours=1000 - number),
    )
    return usual._replace(**parts)


def entries(numbers: range, **parts: Any) -> list[Entry]:
    return [entry(number, **parts) for number in reversed(numbers)]


class Watch:
    """A feed that is read again and again."""

    def __init__(self) -> None:
        self.memory = b""

    def see(
        self,
        found: list[Entry],
        *,
        complete: bool = False,
        cut_off: bool = False,
        omitted: tuple[str, ...] = (),
    ) -> Reading:
        reading = read(
            found, self.memory, complete=complete, cut_off=cut_off, omitted=omitted
        )
        self.memory = reading.memory
        return reading


def read(found: list[Entry], memory: bytes, **parts: Any) -> Reading:
    document = FeedDocument(
        title="E", link="https://e.example/", language="", entries=tuple(found)
    )
    return compare(document._replace(**parts), ABOUT, NOW, memory)


def usable(item: RawItem) -> set[str]:
    return {one.kind for one in item.identities if one.usable}


def names(item: RawItem) -> set[tuple[str, str]]:
    return {(one.kind, one.value) for one in item.identities if one.usable}


def counts(reading: Reading) -> tuple[int, int, int, int]:
    return reading.known, reading.new, reading.edited, reading.withdrawn


# What is published


def test_what_was_published_once_is_known() -> None:
    watch = Watch()
    assert counts(watch.see(entries(range(5)))) == (0, 5, 0, 0)
    assert counts(watch.see(entries(range(5)))) == (5, 0, 0, 0)
    assert counts(watch.see(entries(range(1, 6)))) == (4, 1, 0, 0)


def test_an_entry_that_stands_in_a_document_twice_is_published_once() -> None:
    reading = Watch().see([entry(1), entry(2), entry(1)])
    assert [item.title for item in reading.items] == ["Title 1", "Title 2"]
    assert all("guid" in usable(item) for item in reading.items)


def test_a_feed_that_flaps_between_stale_caches_publishes_nothing_again() -> None:
    watch = Watch()
    watch.see(entries(range(20)))
    watch.see(entries(range(5, 25)))
    for first in (0, 5, 0, 5):
        assert watch.see(entries(range(first, first + 20))).items == ()


def test_a_feed_that_is_empty_for_a_while_comes_back_without_a_repetition() -> None:
    watch = Watch()
    watch.see(entries(range(100)))
    for _ in range(3):
        assert watch.see([]).items == ()
    assert watch.see(entries(range(100))).items == ()


# Edits


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("title", "Another title"),
        ("text", "Three are dead, not two."),
        ("link", "https://e.example/news/corrected"),
        ("enclosures", (Enclosure(url="https://e.example/a.mp3"),)),
    ],
)
def test_an_edited_entry_is_a_revision_that_says_what_changed(
    part: str, value: object
) -> None:
    watch = Watch()
    watch.see(entries(range(5)))
    found = [*entries(range(3, 5)), entry(2, **{part: value}), *entries(range(2))]
    reading = watch.see(found)
    assert counts(reading) == (4, 0, 1, 0)
    assert reading.items[0].changed == (part,)
    assert watch.see(found).items == ()


@pytest.mark.parametrize(
    "text",
    [
        "Two people\ndied  in the flood near the old bridge on Tuesday.\n14 comments",
        "Two people died in the \u2018flood\u2019 near the old bridge on Tuesday.",
        "Two people died in the 'flood' near the old bridge on Tuesday. (3 hours ago)",
        "Two people died in the 'flood' near the old bridge on Tuesday.\nRelated: Other",
        "Advertisement\nTwo people died in the 'flood' near the old bridge on Tuesday.",
        "Two people died in the 'flood' near the old bridge on Tuesday.\nÀ lire aussi : X",
        "Two people died in the 'flood' near the old bri\u00addge on Tuesday.",
    ],
)
def test_counters_advertisements_related_links_and_dressing_are_no_edits(
    text: str,
) -> None:
    plain = "Two people died in the 'flood' near the old bridge on Tuesday."
    if "'" not in text and "\u2018" not in text:
        plain = (
            "Two people died in the flood near the old bridge on Tuesday.\n2 comments"
        )
    if "(" in text:
        plain += " (2 hours ago)"
    watch = Watch()
    watch.see([entry(1, text=plain)])
    assert counts(watch.see([entry(1, text=text)])) == (1, 0, 0, 0)


def test_what_a_feed_no_longer_says_is_no_edit() -> None:
    watch = Watch()
    watch.see([entry(1, enclosures=(Enclosure(url="https://e.example/a.mp3"),))])
    assert watch.see([entry(1, text="", link="")]).items == ()


def test_an_article_read_for_an_entry_without_a_text_is_no_edit_of_it() -> None:
    (item,) = read([entry(1, text="")], b"").items
    full = msgspec.structs.replace(item, text="The article, as its page has it.")
    assert read([entry(1, text="")], remembered(b"", [full])).items == ()


def test_a_number_in_a_text_is_no_counter() -> None:
    watch = Watch()
    watch.see([entry(1, text="12 dead, 3 injured, 40 views of the sea")])
    reading = watch.see([entry(1, text="13 dead, 3 injured, 40 views of the sea")])
    assert reading.items[0].changed == ("text",)


def test_new_dates_tracking_parameters_and_tokens_are_no_edits() -> None:
    def at(moment: int) -> Entry:
        return entry(
            1,
            link=f"http://www.e.example/news/1/?utm_source=rss&utm_id={moment}",
            published=NOW - timedelta(minutes=moment),
            updated=NOW - timedelta(minutes=moment),
            enclosures=(
                Enclosure(
                    url=f"https://cdn.example/i.jpg?Expires={moment}&Signature=x"
                ),
                Enclosure(url=f"https://cdn.example/get?id=7&token={moment}"),
            ),
        )

    watch = Watch()
    watch.see([at(1)])
    assert watch.see([at(2)]).items == ()


def test_two_texts_in_turn_are_published_twice_each_and_a_third_always() -> None:
    watch = Watch()
    told = []
    for text in ("a", "b", "a", "b", "a", "b", "a", "c", "c", "b"):
        told += [item.text for item in watch.see([entry(1, text=text)]).items]
    assert told == ["a", "b", "a", "b", "c", "b"]


def test_a_feed_whose_texts_all_change_at_each_fetch_is_not_edited_for_ever() -> None:
    watch = Watch()
    readings = [
        watch.see(entries(range(10), text=f"The same but for an ad: {word}"))
        for word in ("eel", "cod", "ray", "ide", "dab", "gar")
    ]
    assert [reading.edited for reading in readings] == [0, 10, 0, 0, 0, 0]
    assert readings[-1].habits == {"restless"}


def test_a_new_title_is_told_also_where_the_texts_never_rest() -> None:
    watch = Watch()
    for word in ("eel", "cod", "ray"):
        watch.see(entries(range(10), text=f"ad {word}"))
    reading = watch.see(
        [entry(9, text="ad ide", title="New"), *entries(range(9), text="ad ide")]
    )
    assert [item.changed for item in reading.items] == [("title",)]


# Identity


def test_guid_if_it_is_stable_and_unique_else_link_else_text() -> None:
    (item,) = Watch().see([entry(1)]).items
    assert usable(item) == {"guid", "link", "text"}
    (item,) = Watch().see([entry(1, guid="")]).items
    assert usable(item) == {"link", "text"}
    (item,) = Watch().see([entry(1, guid="", link="")]).items
    assert usable(item) == {"text"}


@pytest.mark.parametrize(
    "guid",
    [
        "http://e.example/a/1",
        "https://WWW.E.example/a/1/",
        "https://e.example/a/1?utm_medium=rss",
        "https://e.example/a/1#2",
    ],
)
def test_spellings_of_an_address_are_one_guid(guid: str) -> None:
    watch = Watch()
    (first,) = watch.see([entry(1, guid="https://e.example/a/1")]).items
    assert watch.see([entry(1, guid=guid)]).items == ()
    (item,) = Watch().see([entry(1, guid=guid)]).items
    assert item.identities[0] == first.identities[0]


def test_a_fragment_tells_entries_apart() -> None:
    found = [entry(n, guid=f"https://e.example/log#v{n}") for n in range(3)]
    items = Watch().see(found).items
    assert all("guid" in usable(item) for item in items)


def test_a_feed_that_changes_the_guid_on_every_fetch_is_detected() -> None:
    watch = Watch()
    rng = random.Random(1)
    first = watch.see(fetched(range(10), rng))
    assert first.habits == frozenset()
    second = watch.see(fetched(range(1, 11), rng))
    assert second.habits == {"guids_change"}
    assert counts(second) == (9, 1, 0, 0)
    assert usable(second.items[0]) == {"link", "text"}
    third = watch.see(fetched(range(1, 11), rng))
    assert counts(third) == (10, 0, 0, 0)
    edited = fetched(range(1, 11), rng)
    edited[0] = edited[0]._replace(title="Other")
    assert [item.changed for item in watch.see(edited).items] == [("title",)]


def fetched(numbers: range, rng: random.Random) -> list[Entry]:
    return [
        one._replace(guid=f"urn:uuid:{rng.getrandbits(64):x}")
        for one in entries(numbers)
    ]


def test_guids_that_change_once_in_a_migration_are_trusted_again() -> None:
    watch = Watch()
    watch.see(entries(range(10)))
    moved = [one._replace(guid=f"{one.guid}/new") for one in entries(range(10))]
    assert watch.see(moved).habits == {"guids_change"}
    assert watch.see(moved[:9]).habits == {"guids_change"}
    assert watch.see(moved[:8]).habits == frozenset()


def test_one_new_guid_does_not_make_a_habit() -> None:
    watch = Watch()
    watch.see(entries(range(10)))
    found = [entry(9, guid="urn:new:9"), *entries(range(9))]
    assert watch.see(found).habits == frozenset()


def test_a_feed_with_the_same_guid_in_all_items_is_detected() -> None:
    watch = Watch()
    one_guid = "tag:e.example:all-the-same"
    reading = watch.see(entries(range(5), guid=one_guid))
    assert reading.habits == {"guids_shared"}
    assert counts(reading) == (0, 5, 0, 0)
    assert all(usable(item) == {"link", "text"} for item in reading.items)
    reading = watch.see(entries(range(1, 6), guid=one_guid))
    assert counts(reading) == (4, 1, 0, 0)
    found = entries(range(1, 6), guid=one_guid)
    found[2] = found[2]._replace(text="Another text, and it is long enough to count.")
    assert [item.changed for item in watch.see(found).items] == [("text",)]


def test_a_guid_in_two_of_many_entries_says_nothing_against_the_others() -> None:
    found = entries(range(10))
    found[3] = found[3]._replace(guid=found[4].guid)
    reading = Watch().see(found)
    assert reading.habits == frozenset()
    assert Counter("guid" in usable(item) for item in reading.items) == {
        True: 8,
        False: 2,
    }


def test_a_reused_guid_is_a_new_publication() -> None:
    watch = Watch()
    (first,) = watch.see([entry(1, guid="tag:e.example:top-story")]).items
    reading = watch.see([entry(2, guid="tag:e.example:top-story")])
    assert counts(reading) == (0, 1, 0, 0)
    (second,) = reading.items
    assert second.changed == ()
    assert not names(first) & names(second)
    third = entry(2, guid="tag:e.example:top-story", title="Title 2, corrected")
    (edited,) = watch.see([third]).items
    assert edited.changed == ("title",)
    assert "guid" not in usable(edited)


def test_a_new_title_with_its_link_and_text_is_an_edit_while_the_date_stands() -> None:
    watch = Watch()
    watch.see([entry(1)])
    other = entry(2, guid=entry(1).guid, published=entry(1).published)
    (item,) = watch.see([other]).items
    assert item.changed == ("title", "text", "link")


def test_a_link_that_another_entry_had_names_neither() -> None:
    watch = Watch()
    live = "https://e.example/live"
    watch.see([entry(1, link=live)])
    (item,) = watch.see([entry(2, link=live)]).items
    assert item.changed == ()
    assert usable(item) == {"guid", "text"}


def test_the_link_of_the_site_names_no_entry() -> None:
    for home in ("https://e.example", "http://www.other.example/"):
        (item,) = Watch().see([entry(1, link=home)]).items
        assert "link" not in usable(item)


@given(
    st.sampled_from(
        [
            "https://e.example/?p=7",
            "https://e.example/a/7",
            "http://e.example/x?b=1&a=2",
        ]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["utm_source", "fbclid", "at_medium", "xtor", "UTM_X"]),
            st.text("abc123-_.", max_size=8),
        ),
        max_size=3,
    ),
)
def test_tracking_parameters_never_change_an_identity(
    address: str, tracking: list[tuple[str, str]]
) -> None:
    added = "&".join(f"{name}={value}" for name, value in tracking)
    tracked = f"{address}{'&' if '?' in address else '?'}{added}"
    (plain,) = Watch().see([entry(1, guid=address, link=address)]).items
    (item,) = Watch().see([entry(1, guid=tracked, link=tracked)]).items
    assert item.identities == plain.identities
    assert usable(item) == {"guid", "link", "text"}


@pytest.mark.parametrize("name", ["", "https://e.example/{}.mp3"])
def test_the_same_words_with_each_bulletin_do_not_make_them_one(name: str) -> None:
    watch = Watch()

    def bulletin(number: int) -> Entry:
        return entry(
            number,
            title="The news at the hour",
            text="The latest news from our correspondents all over the world.",
            link="",
            enclosures=(Enclosure(url=name.format(number)),) if name else (),
        )

    (first,) = watch.see([bulletin(1)]).items
    (second,) = watch.see([bulletin(2)]).items
    both = Watch().see([bulletin(2), bulletin(1)]).items
    assert names(first) & names(second) == set()
    assert names(both[0]) & names(both[1]) == set()


def test_a_site_that_moves_keeps_its_publications() -> None:
    watch = Watch()
    first = watch.see(entries(range(6))).items
    moved = [
        one._replace(guid=f"urn:new:{at}", link=f"https://new.example/{at}")
        for at, one in enumerate(entries(range(6)))
    ]
    reading = watch.see(moved)
    assert counts(reading) == (0, 0, 6, 0)
    assert all(names(a) & names(b) for a, b in zip(first, reading.items, strict=True))
    assert watch.see(moved).items == ()


def test_identity_is_stable_over_the_moment_of_detection() -> None:
    watch = Watch()
    rng = random.Random(2)
    (*_, first) = watch.see(fetched(range(6), rng)).items
    found = fetched(range(6), rng)
    found[-1] = found[-1]._replace(title="Corrected")
    (second,) = watch.see(found).items
    assert "guid" in usable(first)
    assert "guid" not in usable(second)
    assert names(first) & names(second)


def test_feeds_of_one_site_give_an_article_the_same_name() -> None:
    other = subscription(Feed(url="https://e.example/world.xml"))
    document = FeedDocument("", "https://e.example/", "", (entry(1, guid="4711"),))
    (one,) = compare(document, ABOUT, NOW, b"").items
    (two,) = compare(document, other, NOW, b"").items
    assert one.publisher == two.publisher
    assert names(one) & names(two) >= {("link", "https://e.example/news/1")}


# Retractions


def test_an_entry_that_vanishes_from_a_complete_feed_is_withdrawn() -> None:
    watch = Watch()
    published = watch.see(entries(range(5)), complete=True).items
    reading = watch.see(entries(range(1, 5)), complete=True)
    assert counts(reading) == (4, 0, 0, 1)
    (item,) = reading.items
    assert item.state == "withdrawn"
    assert item.identities[0] == published[-1].identities[0]
    assert watch.see(entries(range(1, 5)), complete=True).items == ()
    (back,) = watch.see(entries(range(5)), complete=True).items
    assert (back.state, back.title) == ("present", "Title 0")


def test_where_guids_say_nothing_an_entry_with_a_new_link_is_not_withdrawn() -> None:
    watch = Watch()
    watch.see(entries(range(4)), complete=True)
    renamed = [entry(n, guid=f"urn:other:{n}") for n in range(4)]
    assert watch.see(renamed, complete=True).habits == {"guids_change"}
    renamed[0] = renamed[0]._replace(link="https://e.example/moved/0")
    reading = watch.see(renamed, complete=True)
    assert [(one.state, one.changed) for one in reading.items] == [
        ("present", ("link",))
    ]


def test_an_entry_that_leaves_a_window_is_not_withdrawn() -> None:
    watch = Watch()
    watch.see(entries(range(5)))
    found = entries(range(5))
    del found[2]
    assert counts(watch.see(found)) == (4, 0, 0, 0)


def test_a_document_that_is_broken_or_empty_withdraws_nothing() -> None:
    watch = Watch()
    watch.see(entries(range(9)), complete=True)
    memory = watch.memory
    for found, parts in (
        ([], {}),
        (entries(range(1, 9)), {"cut_off": True}),
        (entries(range(1, 9)), {"omitted": ("too many",)}),
        (entries(range(5, 9)), {}),
    ):
        watch.memory = memory
        assert watch.see(found, complete=True, **parts).withdrawn == 0


def test_a_tombstone_withdraws_once_and_the_entry_may_return() -> None:
    watch = Watch()
    watch.see([entry(1), entry(2)])
    stone = Entry(guid=entry(1).guid, updated=NOW, withdrawn=True)
    reading = watch.see([entry(2), stone])
    assert counts(reading) == (1, 0, 0, 1)
    assert watch.see([entry(2), stone]).items == ()
    assert counts(watch.see([entry(2), entry(1)])) == (1, 0, 1, 0)


def test_the_later_of_an_entry_and_its_tombstone_counts() -> None:
    stone = Entry(guid=entry(1).guid, updated=NOW, withdrawn=True)
    (item,) = Watch().see([entry(1), stone]).items
    assert item.state == "withdrawn"
    (item,) = Watch().see([entry(1, updated=NOW + timedelta(hours=1)), stone]).items
    assert item.state == "present"


def test_an_entry_and_its_tombstone_meet_whatever_the_spelling_of_its_guid() -> None:
    guid = "http://www.e.example/?utm_source=feed&p=1"
    watch = Watch()
    written = entry(1, guid="https://e.example/?p=1")
    taken = Entry(guid=guid, updated=NOW, withdrawn=True)
    watch.see([written])
    assert [one.state for one in watch.see([written, taken]).items] == ["withdrawn"]
    assert watch.see([written, taken]).items == ()


def test_of_several_tombstones_of_an_entry_the_latest_counts() -> None:
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    between = entry(1, updated=NOW - timedelta(minutes=90))
    taken = [
        Entry(guid=between.guid, updated=at, withdrawn=True) for at in (late, early)
    ]
    watch = Watch()
    watch.see([entry(1)])
    for found in ([between, *taken], [*reversed(taken), between]):
        (item,) = read(found, watch.memory).items
        assert item.state == "withdrawn"


# Gaps


def test_a_document_without_an_entry_that_was_known_is_a_gap() -> None:
    watch = Watch()
    assert not watch.see(entries(range(10))).gap
    assert not watch.see(entries(range(9, 19))).gap
    assert watch.see(entries(range(25, 35))).gap


def test_entries_of_the_minute_of_the_newest_that_was_known_may_follow_a_gap() -> None:
    def at_seconds(numbers: range) -> list[Entry]:
        return [
            entry(number, published=NOW - timedelta(minutes=1, seconds=-number))
            for number in reversed(numbers)
        ]

    watch = Watch()
    watch.see(at_seconds(range(10)))
    assert watch.see(at_seconds(range(25, 35))).gap


def test_what_is_no_gap() -> None:
    watch = Watch()
    watch.see(entries(range(100, 102)))
    assert not watch.see(entries(range(110, 112))).gap  # it only ever shows two
    watch = Watch()
    watch.see(entries(range(100, 110)))
    assert not watch.see(entries(range(10))).gap  # older than what was known
    edition = NOW - timedelta(hours=1)
    assert not watch.see(entries(range(110, 120), published=edition)).gap


def test_a_pinned_entry_hides_no_gap() -> None:
    watch = Watch()
    watch.see([entry(3), *entries(range(50, 60))])
    assert not watch.see([entry(3), *entries(range(59, 69))]).gap
    assert watch.see([entry(3), *entries(range(75, 85))]).gap


def test_a_feed_without_dates_has_gaps_too() -> None:
    watch = Watch()
    watch.see(entries(range(10), published=None))
    assert not watch.see(entries(range(9, 19), published=None)).gap
    assert watch.see(entries(range(25, 35), published=None)).gap


def test_a_gap_is_told_again_after_a_crash_in_its_midst() -> None:
    watch = Watch()
    watch.see(entries(range(10)))
    reading = watch.see(entries(range(25, 35)))
    before = Watch()
    before.see(entries(range(10)))
    half = remembered(before.memory, reading.items[:4])
    again = read(entries(range(25, 35)), half)
    assert (again.gap, again.new) == (True, 6)


def test_what_a_hub_delivered_is_known_to_the_next_poll_and_no_gap() -> None:
    watch = Watch()
    watch.see(entries(range(10)))
    for number in range(10, 400):
        reading = read([entry(number)], watch.memory)
        assert counts(reading) == (0, 1, 0, 0)
        watch.memory = remembered(watch.memory, reading.items, delivered=True)
    assert len(watch.memory) < 100 * TRACE_BYTES
    reading = watch.see(entries(range(391, 401)))
    assert (counts(reading), reading.gap) == ((9, 1, 0, 0), False)


def test_an_edit_that_a_hub_delivered_can_be_taken_back() -> None:
    watch = Watch()
    watch.see(entries(range(5)))
    told = []
    for title in ("Two", "Title 3", "Title 3"):
        reading = read([entry(3, title=title)], watch.memory)
        told += [(item.title, item.changed) for item in reading.items]
        watch.memory = remembered(watch.memory, reading.items, delivered=True)
    assert told == [("Two", ("title",)), ("Title 3", ("title",))]
    assert watch.see(entries(range(5))).items == ()


# What was published last


def texts_of(items: tuple[RawItem, ...]) -> list[str]:
    return [item.text for item in items]


@pytest.mark.parametrize("guid", [entry(1).guid, ""])
def test_a_text_that_comes_again_after_a_crash_is_published_again(guid: str) -> None:
    def shown(text: str) -> list[Entry]:
        return [entry(1, text=text, guid=guid), entry(2)]

    watch = Watch()
    watch.see([entry(2)])
    settled = watch.memory
    first = read(shown("a"), settled)
    second = read(shown("b"), first.memory)
    both = (*first.items, *second.items)
    (other,) = read([entry(3)], b"").items
    for kept, published in (
        (second.memory, (*both, other)),  # those before it are covered
        (first.memory, second.items),
        (settled, both),
        (remembered(settled, first.items), second.items),
    ):
        told = remembered(kept, published)
        assert texts_of(read(shown("a"), told).items) == ["a"]
        assert texts_of(read(shown("b"), told).items) == []
        again = read(shown("c"), told)
        assert texts_of(again.items) == ["c"]
        for text in "ab":
            assert texts_of(read(shown(text), again.memory).items) == [text]


def test_what_was_taken_back_and_came_again_before_a_crash_is_known() -> None:
    stone = Entry(guid=entry(1).guid, updated=NOW, withdrawn=True)
    watch = Watch()
    told = [watch.see(found).items for found in ([entry(1)], [stone], [entry(1)])]
    for first in range(3):
        before = Watch()
        for found in ([entry(1)], [stone])[:first]:
            before.see(found)
        memory = before.memory
        for items in told[first:]:
            memory = remembered(memory, items)
        assert read([entry(1)], memory).items == ()
        assert [one.state for one in read([stone], memory).items] == ["withdrawn"]


@pytest.mark.parametrize("guid", [entry(1).guid, ""])
def test_a_text_that_comes_again_after_a_hub_s_is_published_again(guid: str) -> None:
    watch = Watch()
    watch.see([entry(1, text="a", guid=guid)])
    told = []
    for text in "babab":
        items = read([entry(1, text=text, guid=guid)], watch.memory).items
        told += texts_of(items)
        watch.memory = remembered(watch.memory, items, delivered=True)
    assert told == ["b", "a", "b"], "as often as without a hub"


class Process:
    """Reads a feed, and is killed; what it published stays, its memory may not."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.log: list[RawItem] = []
        self.memory = b""
        self.covered = 0

    def poll(self, found: list[Entry], *, delivered: bool = False) -> bool:
        """Read; return whether it lived to the end."""
        reading = read(found, self.memory)
        items = reading.items
        memory = (
            remembered(self.memory, items, delivered=True)
            if delivered
            else reading.memory
        )
        dies = self.rng.random() < 0.4
        for item in items[: self.rng.randint(0, len(items)) if dies else None]:
            assert self.last().get(item.link) != item.text, "it was the last one"
            self.log.append(item)
        if dies:
            self.start()
            return False
        self.memory, self.covered = memory, len(self.log)
        return True

    def start(self) -> None:
        """Remember what was published since the cursor, or since long before."""
        at = self.covered
        if self.rng.random() < 0.5:
            at = self.rng.randint(0, at)
        while at < len(self.log):
            some = self.log[at : at + self.rng.randint(1, 4)]
            self.memory, at = remembered(self.memory, some), at + len(some)
        self.covered = len(self.log)

    def last(self) -> dict[str, str]:
        """Return the text that was published last, by link."""
        return {item.link: item.text for item in self.log}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1_000_000), st.sampled_from(["guid", "no guid"]))
def test_what_a_feed_shows_is_what_was_published_last_whoever_is_killed(
    seed: int, kind: str
) -> None:
    rng = random.Random(seed)
    process = Process(rng)
    texts = dict.fromkeys(range(8), 0)
    first = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "RETURNS_MAX", 1_000)
        for _ in range(15):
            first = min(first + rng.choice((0, 0, 1)), 4)
            for number in rng.sample(range(first, first + 4), 2):
                texts[number] = rng.choice((0, 1, 2))
            found = [
                entry(
                    number,
                    text=f"Take {texts[number]} of number {number}, in many words.",
                    **({} if kind == "guid" else {"guid": ""}),
                )
                for number in reversed(range(first, first + 4))
            ]
            delivered = rng.random() < 0.2
            some = [one for one in found if not delivered or rng.random() < 0.5]
            if process.poll(some, delivered=delivered):
                last = process.last()
                assert [last[one.link] for one in some] == [one.text for one in some]
                assert read(some, process.memory).items == ()


# Dates


def test_dates_that_are_bumped_on_each_fetch_are_not_believed() -> None:
    watch = Watch()
    for minute in range(3):
        bumped = NOW - timedelta(minutes=10 - minute)
        reading = watch.see(entries(range(minute, minute + 9), published=bumped))
    assert reading.habits == {"dates_bumped"}
    assert [item.published for item in reading.items] == [None]
    assert reading.published == (None,)


@pytest.mark.parametrize(
    ("claim", "believed"),
    [
        (None, False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(1, 1, 1, tzinfo=UTC), False),
        (NOW + timedelta(days=3), False),
        (NOW + timedelta(hours=13), True),
        (NOW - timedelta(days=9000), True),
    ],
)
def test_a_claim_is_kept_unless_it_cannot_be_true(
    claim: datetime | None, believed: bool
) -> None:
    (item,) = Watch().see([entry(1, published=claim)]).items
    assert item.published == (claim if believed else None)


# Memory

WRITTEN = st.builds(
    lambda guid, link, title, text, file: Entry(
        guid=guid,
        link=link and f"https://e.example/{link}",
        title=title,
        text=text,
        enclosures=(Enclosure(url=f"https://e.example/{file}.mp3"),) if file else (),
    ),
    st.sampled_from(["", "urn:a:1", "urn:a:2", "3"]),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["One", "Two"]),
    st.sampled_from(["", "A text that is so long that it can be a name.", "b"]),
    st.sampled_from(["", "", "f", "g"]),
)
TAKEN_BACK = st.builds(
    lambda guid: Entry(guid=guid, withdrawn=True, updated=NOW),
    st.sampled_from(["urn:a:1", "urn:a:2"]),
)
ENTRIES = st.lists(st.one_of(WRITTEN, WRITTEN, WRITTEN, TAKEN_BACK), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(ENTRIES, max_size=5))
def test_each_version_of_an_entry_is_published_once_while_it_stays(
    documents: list[list[Entry]],
) -> None:
    watch = Watch()
    for found in documents:
        first = watch.see(found)
        # An entry that is also taken back is one of the two.
        assert len(first.items) <= sum(counts(first)) <= first.entries
        assert watch.see(found).items == ()


def test_an_entry_that_says_only_when_it_was_updated_was_published_then() -> None:
    watch, later = Watch(), NOW + timedelta(minutes=5)
    first = entry(1, published=None, updated=NOW)
    assert watch.see([first]).published == (NOW,)
    edited = first._replace(title="Another title", updated=later)
    reading = watch.see([entry(2, updated=later), edited])
    assert (reading.new, reading.edited) == (1, 1)
    assert reading.published == (entry(2).published,), "an edit is no publication"


@settings(max_examples=150, deadline=None)
@given(ENTRIES, ENTRIES, st.data())
def test_what_was_published_before_a_crash_is_not_published_again(
    before: list[Entry], after: list[Entry], data: st.DataObject
) -> None:
    memory = read(before, b"").memory
    reading = read(after, memory)
    at = data.draw(st.integers(0, len(reading.items)))
    middle = data.draw(st.integers(0, at))
    quarter = remembered(memory, reading.items[:middle])
    half = remembered(quarter, reading.items[middle:at])
    again = read(after, half)
    assert said(again.items) == said(reading.items[at:])
    whole = remembered(remembered(memory, reading.items[:at]), again.items)
    assert read(after, whole).items == ()


def said(items: tuple[RawItem, ...]) -> list[tuple[object, ...]]:
    return [(item.state, item.link, item.title, item.text) for item in items]


@settings(max_examples=150, deadline=None)
@given(ENTRIES, ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_a_document_changes_nothing_but_the_order(
    before: list[Entry], after: list[Entry], rng: random.Random
) -> None:
    memory = read(before, b"").memory
    shuffled = rng.sample(after, len(after))
    one, two = read(after, memory), read(shuffled, memory)
    assert Counter(said(one.items)) == Counter(said(two.items))
    assert (one.gap, one.habits) == (two.gap, two.habits)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), ENTRIES)
def test_no_bytes_are_too_strange_for_a_memory(
    memory: bytes, found: list[Entry]
) -> None:
    for strange in (memory, b"\x01" + memory, read(found, b"").memory + memory):
        assert read(found, strange).entries == len(found)
        remembered(strange, read(found, b"").items)


@given(st.binary(max_size=300), st.text(max_size=30))
def test_a_memory_is_text_on_the_topic(memory: bytes, text: str) -> None:
    assert as_bytes(as_text(memory)) == memory
    as_bytes(text)


def test_an_unknown_version_of_the_memory_starts_anew() -> None:
    memory = read(entries(range(5)), b"").memory
    assert read(entries(range(5)), b"\xff" + memory[1:]).new == 5


def test_a_memory_is_small() -> None:
    watch = Watch()
    for first in range(0, 200, 10):
        watch.see(entries(range(first, first + 30)))
    assert len(watch.memory) < 100 + 2 * 30 * TRACE_BYTES


def test_a_feed_of_25_000_entries_does_not_publish_its_rest_at_each_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One to a hundred: the whole takes seconds.
    monkeypatch.setattr(memory, "TRACES_MAX", TRACES_MAX // 100)
    found = [Entry(guid=f"urn:n:{n}", title=f"T{n}") for n in range(250)]
    watch = Watch()
    assert watch.see(found).new == 250
    assert len(unpack(watch.memory).traces) == 100
    reading = watch.see([Entry(guid="urn:n:new", title="New"), *found])
    assert counts(reading) == (250, 1, 0, 0)
    found[200] = found[200]._replace(title="Corrected")
    assert [item.title for item in watch.see(found).items] == ["Corrected"]
    assert watch.see(found).items == ()


def test_the_largest_memory_fits_into_a_cursor() -> None:
    trace = Trace(b"g" * 5, b"l" * 5, b"t" * 3, b"x" * 4)
    tail = (number.to_bytes(6, "big") for number in range(2 * TAIL_MAX))
    large = Memory((trace,) * TRACES_MAX, frozenset(tail))
    assert len(as_text(pack(large))) < 700_000 < size_limit(CURSORS.name)


# Documents


def test_a_complete_feed_is_read_and_its_retractions_noted() -> None:
    def body(*numbers: int) -> bytes:
        items = "".join(
            f"<item><guid>urn:e:{n}</guid><title>T{n}</title></item>" for n in numbers
        )
        return (
            '<rss version="2.0" xmlns:fh="http://purl.org/syndication/history/1.0">'
            f"<channel><title>E</title><fh:complete/>{items}</channel></rss>"
        ).encode()

    first = look_into(body(1, 2, 3), ABOUT, NOW, b"", content_type="text/xml")
    second = look_into(body(3, 2), ABOUT, NOW, first.memory)
    assert (first.new, first.title, counts(second)) == (3, "E", (2, 0, 0, 1))
    assert second.items[0].identities[0].value == "urn:e:1"


def test_one_document_and_one_memory_give_one_reading() -> None:
    body = (FEEDS / "atom.xml").read_bytes()
    first = look_into(body, ABOUT, NOW, b"")
    assert look_into(body, ABOUT, NOW, b"") == first
    assert first.new > 0
    assert look_into(body, ABOUT, NOW, first.memory).items == ()
