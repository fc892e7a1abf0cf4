from __future__ import annotations

from datetime import timedelta

from streams.correlate.memory import item_key
from streams.forgetting import DAY_MS, REPLAYED_MAX, SWEEP_EVERY, SWEEP_PLACES
from tests.unit.correlate.desk import NOON, START_MS, Desk, item, received


def test_a_report_opens_an_incident() -> None:
    desk = Desk()
    desk.read(item("i1", title="Fuel drivers killed"))
    (incident,) = desk.incidents().values()
    assert desk.items()["i1"].incidents == (incident.id,)
    assert incident.title == "Fuel drivers killed"
    assert incident.incident_class == "violence_against_civilians"
    assert incident.reports[0].quote == "Fighters killed 15 drivers."
    assert incident.status == "reported"
    assert incident.origin == "items.raw/3/0"
    assert incident.material


def test_what_is_no_incident_opens_none() -> None:
    desk = Desk()
    desk.read(item("i1", label="none"))
    desk.read(item("i2", "Ten years ago 15 died.", modality="retold"))
    assert not desk.incidents()
    assert all(one.story is not None for one in desk.items().values())


def test_a_copy_joins_the_story_and_only_counts() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i2", publisher="b.example"))
    (incident,) = desk.incidents().values()
    first, copy = desk.items()["i1"], desk.items()["i2"]
    assert first.story is not None
    assert copy.story is not None
    assert (first.story.role, copy.story.role) == ("first", "copy")
    assert first.story.id == copy.story.id
    assert incident.item_count == 2
    assert incident.independent_sources == 1
    assert [report.item for report in incident.reports] == ["i1"]
    assert not incident.material
    assert incident.changes == ()


def test_an_item_without_words_belongs_to_no_story() -> None:
    desk = Desk()
    desk.read(item("i1", "", label="none"), item("i2", "", label="none"))
    assert all(one.story is None for one in desk.items().values())


def test_an_older_revision_changes_nothing() -> None:
    desk = Desk()
    desk.read(item("i1", "New text.", revision=2), item("i1", "Old text."))
    assert desk.items()["i1"].text == "New text."
    assert len(desk.outputs) == 2


def test_a_dedupe_that_lost_its_memory_and_counts_anew_is_followed() -> None:
    desk, later = Desk(), NOON + timedelta(days=40)
    desk.read(item("i1", "One."), item("i1", "Two.", revision=2))
    desk.read(item("i1", "Three.", first_seen=later), item("i1", "Two.", revision=2))
    held = desk.items()["i1"]
    assert (held.text, held.revision) == ("Three.", 1)
    assert held.anchor == NOON  # the month of the index where it stands


def test_of_one_revision_the_later_raw_record_counts() -> None:
    desk = Desk()
    short, fuller = item("i1", "Short."), item("i1", "Short, and more.")
    desk.take(received(fuller, 1, raw=7))
    read_anew = item("i1", "Short.", models="2")
    for offset, late in enumerate((short, read_anew), start=2):
        assert not desk.take(received(late, offset, raw=2)).outputs
    assert desk.items()["i1"].text == "Short, and more."
    desk.take(received(item("i1", "More still."), 4, raw=8))
    assert desk.items()["i1"].text == "More still."


def test_the_same_again_changes_nothing() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1"))
    assert len(desk.outputs) == 2


def test_the_same_revision_read_anew_replaces() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1", label="battle", models="2"))
    (incident,) = desk.incidents().values()
    assert incident.incident_class == "battle"
    assert incident.material
    (change,) = incident.changes
    assert (change.field, change.after, change.because) == (
        "incident_class",
        "battle",
        "i1",
    )
    assert desk.items()["i1"].models == {"classify": "2"}


def test_an_edited_text_keeps_its_incident() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1", "Fighters killed 16 drivers.", revision=2))
    (incident,) = desk.incidents().values()
    assert incident.item_count == 1
    assert incident.reports[0].quote == "Fighters killed 16 drivers."
    assert desk.items()["i1"].incidents == (incident.id,)


def test_an_edited_text_leaves_the_copies_of_the_old_one() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i2"), item("i1", "Another text.", revision=2))
    assert desk.membership() == {frozenset({"i1"}), frozenset({"i2"})}
    counts = sorted(one.item_count for one in desk.incidents().values())
    assert counts == [1, 1]


def test_a_text_edited_into_another_s_merges_its_incident() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i2", "Another text."))
    gone = desk.items()["i2"].incidents[0]
    desk.read(item("i2", revision=2))
    kept = desk.items()["i2"].incidents[0]
    incidents = desk.incidents()
    assert incidents[kept].item_count == 2
    assert incidents[gone].status == "retracted"
    assert incidents[gone].merged_into == kept


def test_a_withdrawn_report_leaves_its_incident_to_the_copy() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i2"), item("i1", revision=2, state="withdrawn"))
    (incident,) = desk.incidents().values()
    assert [report.item for report in incident.reports] == ["i2"]
    assert incident.item_count == 1
    assert incident.status == "reported"
    stub = desk.items()["i1"]
    assert (stub.story, stub.incidents, stub.state) == (None, (), "withdrawn")


def test_the_last_report_withdrawn_retracts_the_incident() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1", revision=2, state="withdrawn"))
    (incident,) = desk.incidents().values()
    assert incident.status == "retracted"
    assert incident.item_count == 0
    assert incident.reports == ()
    assert [(c.field, c.after) for c in incident.changes] == [
        ("status", "retracted"),
        ("independent_sources", "0"),
    ]


def test_a_report_that_returns_is_a_report_again() -> None:
    desk = Desk()
    desk.read(
        item("i1"),
        item("i1", revision=2, state="withdrawn"),
        item("i1", revision=3),
    )
    (incident,) = desk.standing()
    assert incident.item_count == 1
    assert desk.items()["i1"].incidents == (incident.id,)


def test_a_report_reread_as_no_incident_leaves_it() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1", label="none", models="2"))
    assert not desk.standing()
    assert desk.items()["i1"].incidents == ()
    desk.read(item("i1", models="3"))
    (incident,) = desk.incidents().values()
    assert incident.status == "reported"
    assert incident.merged_into == ""


def test_the_text_of_a_moved_incident_opens_its_own_when_it_returns() -> None:
    desk = Desk()
    desk.read(item("i1"), item("i1", "Edited.", revision=2), item("i2"))
    assert len(desk.standing()) == 2
    assert desk.membership() == {frozenset({"i1"}), frozenset({"i2"})}


def test_versions_follow_the_clock_of_the_log_and_never_repeat() -> None:
    desk = Desk()
    desk.take(received(item("i1"), 0, appended_ms=START_MS))
    desk.take(received(item("i1", "b", revision=2), 1, appended_ms=START_MS))
    desk.take(received(item("i1", "c", revision=3), 2, appended_ms=START_MS - 5000))
    assert desk.items()["i1"].version == START_MS + 2


def test_what_nothing_touches_for_a_month_is_forgotten() -> None:
    desk = Desk()
    desk.read(item("i1", label="none"), item("i2"), gap=1)
    again = item("i2", revision=2)
    desk.take(received(again, SWEEPING - 1, appended_ms=START_MS))
    month_after(desk)
    assert item_key("i1") not in desk.table
    assert item_key("i2") in desk.table


def test_a_clock_that_was_ahead_does_not_stop_the_sweep() -> None:
    desk = Desk()
    ahead_ms = START_MS + 365 * DAY_MS
    desk.take(received(item("from the future"), 0, appended_ms=ahead_ms))
    desk.take(received(item("old", "Other."), 1))
    offset, now_ms = month_after(desk)
    desk.take(received(item("new", "New."), offset, appended_ms=now_ms))
    assert item_key("old") not in desk.table


def test_a_clock_that_is_ahead_for_a_while_forgets_nothing_early() -> None:
    desk = Desk()
    desk.read(item("i1"))
    ahead_ms = START_MS + 365 * DAY_MS
    for tick in range(SWEEPING, SWEEPING + 100 * SWEEP_EVERY, SWEEP_EVERY):
        desk.take(received(item("tick", str(tick)), tick, appended_ms=ahead_ms + tick))
    assert item_key("i1") in desk.table


def test_what_has_a_version_in_the_future_is_known_until_then() -> None:
    desk = Desk()
    ahead_ms = START_MS + 365 * DAY_MS
    desk.take(received(item("i1"), 0, appended_ms=ahead_ms))
    offset, now_ms = month_after(desk)
    before = desk.items()["i1"].version
    desk.take(received(item("i1", "New.", revision=2), offset, appended_ms=now_ms))
    assert desk.items()["i1"].version == before + 1


def test_a_version_in_the_future_is_forgotten_when_that_time_is_past() -> None:
    desk = Desk()
    desk.take(received(item("i1"), 0, appended_ms=START_MS + 60 * DAY_MS))
    offset, now_ms = month_after(desk)
    assert item_key("i1") in desk.table
    month_after(desk, offset + SWEEPING, now_ms + 60 * DAY_MS, a_day=SWEEPS // 35)
    assert item_key("i1") not in desk.table


def test_an_item_is_remembered_as_long_as_an_incident_has_its_report() -> None:
    desk = Desk()
    desk.read(item("i1"))
    desk.take(received(item("copy"), SWEEPING - 1, appended_ms=START_MS + 25 * DAY_MS))
    offset, _ = month_after(desk)
    desk.take(received(item("i1", revision=2, state="withdrawn"), offset))
    (incident,) = desk.standing()
    assert incident.item_count == 1
    assert [report.item for report in incident.reports] == ["copy"]


def test_an_item_is_forgotten_soon_after_the_incident_that_has_its_report() -> None:
    desk = Desk()
    desk.read(item("i1"))
    desk.take(received(item("copy"), SWEEPING - 1, appended_ms=START_MS))
    offset, now_ms = month_after(desk)
    for _ in range(2):
        offset, now_ms = month_after(
            desk, offset + SWEEPING, now_ms, a_day=SWEEPS // 35
        )
    assert item_key("i1") not in desk.table
    assert item_key("copy") not in desk.table


def test_a_crash_s_worth_of_records_is_remembered_however_old() -> None:
    desk = Desk()
    desk.read(item("i1"))
    for day in range(1, 90):
        late = START_MS + day * DAY_MS
        desk.take(received(item("i2"), day * SWEEP_EVERY, appended_ms=late))
    assert item_key("i1") in desk.table


def test_a_story_that_returns_after_it_is_forgotten_opens_a_new_incident() -> None:
    desk = Desk()
    desk.read(item("i1"))
    offset, now_ms = month_after(desk)
    desk.take(received(item("i2"), offset, appended_ms=now_ms))
    assert len(desk.standing()) == 2


#: Far enough on that a crash cannot send the first records again.
SWEEPING = -(-REPLAYED_MAX // SWEEP_EVERY) * SWEEP_EVERY + SWEEP_EVERY
#: So many go along as many places as lie between.
SWEEPS = 2 * SWEEPING // SWEEP_PLACES


def month_after(
    desk: Desk, offset: int = SWEEPING, now_ms: int = START_MS, *, a_day: int = 1
) -> tuple[int, int]:
    """Let a month go by, something else each day; return where the log is then."""
    offset += -offset % SWEEP_EVERY
    for _ in range(35 * a_day):
        tick = item("tick", str(offset), revision=offset, label="none")
        desk.take(received(tick, offset, appended_ms=now_ms))
        offset, now_ms = offset + SWEEP_EVERY, now_ms + DAY_MS // a_day
    return offset, now_ms


def test_what_is_forgotten_and_read_anew_opens_the_incident_that_it_opened_then() -> (
    None
):
    desk = Desk()
    desk.read(item("i1"), item("i2"))
    (before,) = desk.standing()
    desk.table.clear()  # 30 days have gone
    desk.offset += 1000

    desk.read(item("i1", models="2"), item("i2", models="2"))

    (after,) = desk.standing()
    assert after.id == before.id
    assert after.item_count == before.item_count == 2
    assert after.version > before.version
    assert {one.models["classify"] for one in desk.items().values()} == {"2"}
