from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams import events
from streams.dedupe import memory
from streams.dedupe.decide import decide
from streams.dedupe.publication import touch_key
from streams.forgetting import DAY_MS, REPLAYED_MAX, SWEEP_EVERY, SWEEP_PLACES
from streams.log.face import Record
from streams.records import Identity, RawItem, Source, UniqueItem
from streams.stage import Received
from streams.topics import INDEX_KEPT_S, RAW


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = DAY_MS
#: Far enough on that a crash cannot send the first records again.
LATER = -(-REPLAYED_MAX // SWEEP_EVERY) * SWEEP_EVERY + SWEEP_EVERY


class Years:
    """Records of one partition, at any offset and on any day."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}

    def send(self, guid: str, offset: int, day: float, text: str = "") -> int | None:
        """Decide on a record; the revision that it made, if any."""
        item = RawItem(
            identities=(Identity(kind="guid", value=guid),),
            publisher="example.org",
            source=Source(connector="rss", id="world"),
            text=text or guid,
            fetched=NOON + timedelta(days=day),
        )
        record = Record(RAW.name, 0, offset, int(day * DAY), b"", b"", ())
        decision = decide(Received(record, item), self.state)
        for key, value in decision.writes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        for output in decision.outputs:
            return events.decode(UniqueItem, output.value).revision
        return None

    def wait(self, days: int, *, first_day: int = 0) -> int:
        """Let days go by with the same notice on each; return the offset then."""
        offset = LATER
        for day in range(first_day, first_day + days + 1):
            self.send("tick", offset, day=day)
            offset += SWEEP_EVERY
        return offset

    def count(self, letter: bytes) -> int:
        return sum(key.startswith(letter) for key in self.state)


HORIZON = memory.REMEMBERED_MS // DAY


def test_what_nobody_sent_for_longer_than_the_horizon_leaves_nothing_behind() -> None:
    years = Years()
    for offset in range(10):
        years.send(f"old {offset}", offset, day=0)
    years.wait(HORIZON + 2)
    assert (years.count(b"p/"), years.count(b"a/"), years.count(b"t/")) == (1, 1, 1)


def test_within_the_horizon_everything_is_remembered() -> None:
    years = Years()
    years.send("old", 0, day=0)
    offset = years.wait(HORIZON - 1)
    assert years.send("old", offset, day=HORIZON - 1) is None


def test_what_a_crash_may_send_again_is_never_forgotten() -> None:
    years = Years()
    years.send("old", 0, day=0)
    years.send("new", 160, day=10 * HORIZON)
    assert years.count(b"p/") == 2


def test_what_is_still_sent_unchanged_is_never_forgotten() -> None:
    years = Years()
    years.send("about us", 0, day=0)
    offset = LATER
    for day in range(3 * HORIZON):
        assert years.send("about us", offset, day=day) is None
        offset += SWEEP_EVERY
    assert years.send("about us", offset, day=3 * HORIZON, text="new") == 2


def test_a_copy_renews_only_what_is_fading() -> None:
    years = Years()
    years.send("g", 0, day=0)
    years.send("g", years.wait(29) + 1, day=29)
    assert touch_key(0, 0) in years.state
    years.send("g", 2, day=31)
    years.wait(31)
    years.send("g", 2, day=31)
    assert touch_key(0, 2) in years.state
    assert touch_key(0, 0) not in years.state


def test_the_sweep_keeps_up_with_a_steady_flow() -> None:
    years = Years()
    records_a_day = 25
    assert records_a_day * HORIZON < REPLAYED_MAX
    for offset in range(2 * REPLAYED_MAX):
        years.send(str(offset), offset, day=offset / records_a_day)
    assert years.count(b"p/") <= REPLAYED_MAX + SWEEP_PLACES


def test_a_place_that_a_crash_left_behind_does_not_stop_the_sweep() -> None:
    years = Years()
    years.send("g", 0, day=0)
    stale = dict(years.state)
    years.send("g", 1, day=0, text="new")
    years.state[touch_key(0, 0)] = stale[touch_key(0, 0)]
    years.wait(2)
    assert touch_key(0, 0) not in years.state
    assert years.send("g", 2 * LATER + 1, day=3, text="newer") == 3


def test_a_clock_that_was_ahead_does_not_stop_the_sweep() -> None:
    years = Years()
    years.send("from the future", 0, day=9 * HORIZON)
    years.send("old", 1, day=0)
    years.wait(HORIZON + 3)
    assert touch_key(0, 1) not in years.state


def test_a_clock_that_is_ahead_for_a_while_forgets_nothing_early() -> None:
    years = Years()
    years.send("old", 0, day=0)
    offset = years.wait(100, first_day=9 * HORIZON)
    assert years.send("old", offset, day=1) is None


def test_a_publication_that_was_forgotten_returns_under_the_same_id() -> None:
    years = Years()
    years.send("old", 0, day=0)
    (key,) = (key for key in years.state if key.startswith(b"p/"))
    offset = years.wait(HORIZON + 2)
    assert key not in years.state
    assert years.send("old", offset, day=HORIZON + 3) == 1
    assert key in years.state


def test_nothing_is_forgotten_while_the_index_may_hold_it() -> None:
    month_and_a_day_ahead = 32 * DAY
    assert INDEX_KEPT_S * 1000 + month_and_a_day_ahead <= memory.REMEMBERED_MS
