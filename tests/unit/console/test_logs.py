"""Log lines: one each, escaped, and libraries that repeat themselves held back."""

from __future__ import annotations

import io
import json
import logging

from collections.abc import Iterator

import pytest
import structlog

from console import logs


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def record(text: str, created: float, name: str = "aiokafka") -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, "", 0, text, (), None)
    made.created = created
    return made


def test_a_line_has_time_level_event_and_facts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(service=True)
    structlog.get_logger("test").info("rss.fetched", source="a b", entries=3)

    line = capsys.readouterr().err

    assert line.endswith('info rss.fetched source="a b" entries=3\n')
    assert line.startswith("20")


def test_what_a_source_wrote_stays_on_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(service=True)
    structlog.get_logger("test").info("x", title="\x1b[31m\nfaked\u202e")

    line = capsys.readouterr().err

    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_a_command_that_ends_by_itself_is_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    structlog.get_logger("test").info("small news")
    logging.getLogger("aiokafka").error("cannot connect")
    structlog.get_logger("test").warning("mind this")

    assert "mind this" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_a_library_that_repeats_itself_is_held_back_and_counted() -> None:
    libraries = logs.Libraries(logging.WARNING, interval_s=10)

    passed = [libraries.filter(record("no broker", at)) for at in range(10)]
    later = record("no broker", 10.5)

    assert passed == [True] + [False] * 9
    assert libraries.filter(later)
    assert "9 times more" in later.getMessage()


def test_different_messages_do_not_hold_each_other_back() -> None:
    libraries = logs.Libraries(logging.WARNING, interval_s=10)

    assert libraries.filter(record("one", 0))
    assert libraries.filter(record("other", 0))


def test_beside_the_live_view_a_redirected_standard_error_gets_all_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.configure(service=True)
    for is_terminal, count in ((True, 0), (False, 2)):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda answer=is_terminal: answer)
        monkeypatch.setattr("sys.stderr", stream)
        with logs.into(lambda _: None):
            structlog.get_logger("test").info("small news")
            structlog.get_logger("test").warning("mind this")
        assert len(stream.getvalue().splitlines()) == count


def test_the_live_view_takes_warnings_and_no_more() -> None:
    logs.configure(service=True)
    notices: list[str] = []

    with logs.into(notices.append):
        structlog.get_logger("test").info("small news")
        structlog.get_logger("test").warning("mind this")

    assert len(notices) == 1
    assert "mind this" in notices[0]


def test_a_line_is_an_object_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(service=True)
    logs.render_as("json")
    structlog.get_logger("test").info("rss.fetched", source="a\n\x1b", entries=3)

    (line,) = capsys.readouterr().err.splitlines()

    told = json.loads(line)
    assert list(told) == ["time", "level", "event", "source", "entries"]
    assert (told["source"], told["entries"]) == ("a\n\x1b", 3)


def test_in_an_object_nothing_is_nothing_and_containers_are_themselves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(service=True)
    logs.render_as("json")
    structlog.get_logger("test").info(
        "stood", since=None, lags={"annotate": 3}, parts=(1, 2)
    )

    told = json.loads(capsys.readouterr().err)
    assert told["since"] is None
    assert told["lags"] == {"annotate": 3}
    assert told["parts"] == [1, 2]
