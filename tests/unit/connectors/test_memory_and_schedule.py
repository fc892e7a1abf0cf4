import random

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss.memory import sift
from connectors.rss.schedule import BACKOFF_MAX_S, JITTER, delay_s
from streams.records import Identity, RawItem, Source


NOW = datetime(2026, 11, 5, tzinfo=UTC)


def entry(guid: str, text: str, *, usable: bool = True) -> RawItem:
    return RawItem(
        identities=(Identity(kind="guid", value=guid, usable=usable),),
        publisher="p",
        source=Source(connector="rss", id="s"),
        text=text,
        fetched=NOW,
    )


ENTRIES = st.lists(
    st.builds(entry, st.sampled_from("abcdef"), st.sampled_from(["", "x", "y"])),
    max_size=12,
)


@given(ENTRIES)
def test_what_was_published_once_is_known(entries: list[RawItem]) -> None:
    first = sift(entries, "")
    assert len(first.new) + first.known == len(entries)
    last = {item.identities[0].value: item.text for item in entries}
    again = sift([entry(guid, text) for guid, text in last.items()], first.memory)
    assert (again.new, again.known) == ((), len(last))


@given(ENTRIES, ENTRIES)
def test_what_is_new_or_changed_is_published(
    before: list[RawItem], after: list[RawItem]
) -> None:
    memory = sift(before, "").memory
    held = {item.identities[0].value: item.text for item in before}
    new = sift(after, memory).new
    for item in after:
        if held.get(item.identities[0].value) != item.text:
            assert item in new


def test_a_changed_text_is_published_again_and_a_new_date_is_not() -> None:
    memory = sift([entry("a", "x"), entry("b", "y")], "").memory
    changed = sift([entry("a", "x2"), entry("b", "y")], memory)
    assert [item.text for item in changed.new] == ["x2"]
    assert changed.known == 1


def test_entries_under_one_unusable_name_are_told_apart() -> None:
    entries = [entry("same", "x", usable=False), entry("same", "y", usable=False)]
    memory = sift(entries, "").memory
    assert sift(entries, memory).known == 2


@given(
    st.floats(60, 86_400),
    st.integers(0, 10_000),
    st.floats(0, 86_400),
    st.integers(),
)
def test_a_poll_is_never_sooner_than_asked_nor_given_up(
    interval_s: float, failures: int, retry_after_s: float, seed: int
) -> None:
    wait_s = delay_s(
        interval_s,
        failures=failures,
        retry_after_s=retry_after_s,
        rng=random.Random(seed),
    )
    assert wait_s >= retry_after_s
    assert wait_s >= interval_s * (1 - JITTER)
    assert wait_s <= max(retry_after_s, max(interval_s, BACKOFF_MAX_S) * (1 + JITTER))
