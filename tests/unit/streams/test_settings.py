from __future__ import annotations

import math
import os
import string

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams import settings as module
from streams.errors import SettingsError
from streams.settings import ENV_PREFIX, Settings, load


Write = Callable[[str], Path]
SECRET = "hunter2-do-not-print"  # noqa: S105 - a marker to look for


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(toml: str) -> Path:
        path = tmp_path / "wirewatch.toml"
        path.write_text(toml, "utf-8")
        return path

    return write


def refusal(path: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as raised:
        load(path, environ=environ)
    return str(raised.value)


def test_without_anything_the_defaults_are_embedded() -> None:
    assert load(environ={}) == Settings()
    assert load(environ={}).mode == "embedded"


def test_the_environment_is_over_the_file(write: Write) -> None:
    path = write('mode = "embedded"\n[kafka]\nbootstrap = "file:1"\nusername = "me"')
    settings = load(
        path,
        environ={"WIREWATCH_MODE": "servers", "WIREWATCH_KAFKA_BOOTSTRAP": "env:2"},
    )
    assert settings.mode == "servers"
    assert settings.kafka.bootstrap == "env:2"
    assert settings.kafka.username == "me"


def test_a_number_in_the_environment_is_read_as_one() -> None:
    settings = load(
        environ={
            "WIREWATCH_ANNOTATE_PROCESSES": "3",
            "WIREWATCH_KAFKA_SESSION_TIMEOUT_S": "6.5",
        }
    )
    assert settings.annotate.processes == 3
    assert settings.kafka.session_timeout_s == 6.5


def test_variables_of_others_are_left_alone() -> None:
    assert load(environ={"WIRETEST_KAFKA": "x", "HOME": "/x"}) == Settings()


def test_the_variable_that_names_the_file_is_no_setting() -> None:
    assert load(environ={"WIREWATCH_CONFIG": "x"}) == Settings()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("prefx = 'a'", "unknown setting 'prefx': did you mean prefix?"),
        ("[kafak]\n", "unknown setting 'kafak': did you mean kafka?"),
        (
            "[kafka]\nbootsrap = 'a:1'",
            "unknown setting 'kafka.bootsrap': did you mean bootstrap?",
        ),
        (
            "[[rss.feeds]]\nurl = 'a.example'\n[[rss.feeds]]\nlangage = 'fr'",
            "unknown setting 'rss.feeds[1].langage': did you mean language?",
        ),
        ("[feeds]", "unknown setting 'feeds': did you mean rss.feeds?"),
        ("[[sation]]", "unknown setting 'sation': did you mean radio.stations?"),
        (
            "settle = 1",
            "unknown setting 'settle': did you mean radio.settle_s?",
        ),
        ("[kafka]\nzzz = 1", "unknown setting 'kafka.zzz': remove it"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    toml: str, said: str, write: Write
) -> None:
    path = write(toml)
    assert refusal(path) == f"{path}: {said}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("WIREWATCH_KAFKA_BOOTSRAP", "did you mean WIREWATCH_KAFKA_BOOTSTRAP?"),
        ("WIREWATCH_CONFG", "did you mean WIREWATCH_CONFIG?"),
        ("WIREWATCH_RSS_FEEDS", ""),  # lists are in the file only
        ("WIREWATCH_ZZ", "remove it"),
    ],
)
def test_an_unknown_variable_names_the_nearest_known_one(name: str, hint: str) -> None:
    said = refusal(None, **{name: "x"})
    assert said.startswith(f"unknown environment variable {name}: ")
    assert said.endswith(hint)


def test_a_log_too_small_for_its_results_is_refused(write: Write) -> None:
    path = write("[log]\nsize_max_gb = 0.1")
    assert "log.size_max_gb must be 0.25 at least" in refusal(path)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("mode = 'server'", "mode: must be one of embedded, servers"),
        ("kafka = 5", "kafka: Expected `object`, got `int`"),
        ("[rss]\ninterval_s = -1", "rss.interval_s: Expected `float` > 0.0"),
        (
            "[rss]\ninterval_min_s = 100\ninterval_max_s = 50",
            "rss.interval_min_s must not be more than rss.interval_max_s",
        ),
        ("[http]\nsize_max_mb = nan", "http.size_max_mb: Expected `float` > 0.0"),
        ("[annotate]\nprocesses = -1", "annotate.processes: Expected `int` >= 0"),
        (
            "[[rss.feeds]]\nid = 'x'",
            "rss.feeds[0]: Object missing required field `url`",
        ),
        ("[rss]\nparallel = 'many'", "rss.parallel: Expected `int`, got `str`"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_key(
    toml: str, said: str, write: Write
) -> None:
    path = write(toml)
    assert refusal(path) == f"{path}: {said}"


@pytest.mark.parametrize(
    "prefix", ["Big-", "-a", "a b", "a/", "é", "_x", "a\n", "a" * 101]
)
def test_a_prefix_that_a_server_would_refuse_is_refused_here(prefix: str) -> None:
    assert "prefix: use at most" in refusal(WIREWATCH_PREFIX=prefix)


def test_a_table_that_is_none_is_an_error_also_with_the_environment_over_it(
    write: Write,
) -> None:
    said = refusal(write("kafka = 5"), WIREWATCH_KAFKA_BOOTSTRAP="a:1")
    assert "kafka: Expected `object`, got `int`" in said


@pytest.mark.parametrize(
    "toml",
    [
        "[[rss.feeds]]\nurl='http://a.example'\n[[rss.feeds]]\nurl='https://a.example'",
        "[[rss.feeds]]\nurl='http://a.b'\nid='x'\n[[rss.feeds]]\nurl='http://c.d'\nid='x'",
        "[[radio.stations]]\nid='x'\nfolder='a'\n[[radio.stations]]\nid='x'\nfolder='b'",
    ],
)
def test_two_sources_of_one_name_are_an_error(toml: str, write: Write) -> None:
    assert "s are called" in refusal(write(toml))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Africa", ""])
def test_an_unknown_time_zone_is_an_error(zone: str, write: Write) -> None:
    said = refusal(write(f"[[radio.stations]]\nid='x'\nfolder='a'\ntimezone='{zone}'"))
    assert "use an IANA name" in said


def test_a_wrong_value_in_the_environment_is_the_variables_fault(write: Write) -> None:
    said = refusal(write("[rss]\ninterval_s = 60"), WIREWATCH_RSS_INTERVAL_S="abc")

    assert said.startswith("WIREWATCH_RSS_INTERVAL_S in the environment: ")
    assert "abc" not in said


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://example.org/rss", True),
        ("HTTP://[::1]:8080/", True),
        ("www.bbc.co.uk/rss", False),
        ("ftp://x/y", False),
        ("https:///rss", False),
        ("http://[::1", False),
    ],
)
def test_a_feed_needs_a_web_address(url: str, fits: bool, write: Write) -> None:
    file = write(f"[[rss.feeds]]\nurl = '{url}'")
    if fits:
        assert load(file, environ={}).rss.feeds
    else:
        said = refusal(file)
        assert "rss.feeds[0]: url must be an http or https address" in said
        assert url not in said


def test_no_feed_is_called_like_the_cursor_of_a_shard(write: Write) -> None:
    file = write("[[rss.feeds]]\nurl = 'https://a.example/'\nid = 'rss shard 1/1'")
    assert "id must not begin with 'rss shard '" in refusal(file)


@pytest.mark.parametrize(
    ("key", "fits", "does_not"),
    [
        (
            "language",
            ("fr", "pt-BR", "zh-Hans-CN", "und", "ff"),
            ("french", "f", "fr_FR"),
        ),
        ("country", ("ML", "ne"), ("Mali", "M", "M1")),
        (
            "name_pattern",
            ("%Y-%m-%d_%H%M", "talk %d %B %Y", "%Y%m%dT%H%M%S%z"),
            ("%Q", "%Y%Y", "%", "%-d.%m.%Y"),
        ),
    ],
)
def test_what_is_known_of_a_station_has_a_form(
    key: str, fits: tuple[str, ...], does_not: tuple[str, ...], write: Write
) -> None:
    station = "[[radio.stations]]\nid = 'r'\nfolder = 'r'\n"
    for value in fits:
        settings = load(write(f"{station}{key} = '{value}'"), environ={})
        assert getattr(settings.radio.stations[0], key) == value
    for value in does_not:
        assert f"station 'r': {key} must be" in refusal(
            write(f"{station}{key} = '{value}'")
        )


def test_the_settings_that_ship_are_settings() -> None:
    settings = load(Path(module.__file__).parents[1] / "wirewatch.toml", environ={})
    assert settings.rss.feeds


def test_paths_in_the_file_are_taken_from_its_folder(write: Write) -> None:
    path = write(
        "data = 'here'\n"
        "[kafka]\nca_file = 'ca.pem'\n"
        "[elasticsearch]\nca_file = '/etc/ca.pem'\n"
        "[rss]\narchive = 'kept'\n"
        "[[radio.stations]]\nid = 'x'\nfolder = 'in/x'\n"
        "[[radio.stations]]\nid = 'y'\nfolder = '~/y'\n"
    )
    settings = load(path, environ={})
    folder = path.parent
    assert settings.data_folder == folder / "here"
    assert settings.kafka.ca_file == str(folder / "ca.pem")
    assert settings.elasticsearch.ca_file == "/etc/ca.pem"
    assert settings.rss.archive == str(folder / "kept")
    assert [station.folder for station in settings.radio.stations] == [
        str(folder / "in/x"),
        str(Path.home() / "y"),
    ]


def test_the_default_data_folder_lies_beside_the_file(write: Write) -> None:
    path = write("")
    assert load(path, environ={}).data_folder == path.parent / "data"


def test_paths_from_elsewhere_are_taken_from_the_working_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    path = write("data = 'here'\n[kafka]\nca_file = 'ca.pem'")
    monkeypatch.chdir(working)
    settings = load(path, data="there", environ={"WIREWATCH_KAFKA_CA_FILE": "my.pem"})
    assert settings.data_folder == working / "there"
    assert settings.kafka.ca_file == "my.pem"


def test_no_ca_file_stays_none(write: Write) -> None:
    assert load(write("[kafka]\nca_file = ''"), environ={}).kafka.ca_file == ""


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    assert "name another with --config" in refusal(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"mode = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_cannot_be_read_says_which(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wirewatch.toml"
    path.write_bytes(content)
    assert f"{path} cannot be read: " in refusal(path)


@pytest.mark.parametrize(
    "toml",
    [
        f"[kafka]\npassword = '{SECRET}'\nsecurity = 'none'",
        f"[kafka]\nsecurity = '{SECRET}'",
        f"[kafka]\npassword = ['{SECRET}']",
        f"[kafka]\npasword = '{SECRET}'",
        f"[kafka]\npassword = {SECRET}",
        f"prefix = '{SECRET.upper()}'",
        f"[[rss.feeds]]\nurl = 'https://me:{SECRET}@a.example/'\n" * 2,
    ],
)
def test_no_value_is_in_a_message(toml: str, write: Write) -> None:
    assert SECRET.lower() not in refusal(write(toml)).lower()


def test_no_secret_shows_in_a_repr(write: Write) -> None:
    settings = load(
        write(
            f"[kafka]\nusername = 'me'\npassword = '{SECRET}'\n"
            f"[elasticsearch]\nurl = 'https://me:{SECRET}@es.example:9200'\n"
            f"api_key = '{SECRET}'\n"
            f"[[rss.feeds]]\nurl = 'https://me:{SECRET}@a.example/feed'"
        ),
        environ={},
    )
    shown = repr(settings)
    assert SECRET not in shown
    assert "username='me'" in shown
    assert "https://***@es.example:9200" in shown
    assert settings.kafka.password == SECRET


def scalar_settings() -> list[str]:
    return sorted(
        name
        for name, (_, key) in module._names()
        if not (key in module.SECRETS and name.endswith(module.FILE_SUFFIX))
    )


@pytest.mark.parametrize("name", scalar_settings())
def test_every_scalar_setting_can_come_from_the_environment(name: str) -> None:
    kinds = {"1", "4", "100", "embedded", "FULL", "SSL", "PLAIN", "json"}
    accepted = []
    for value in kinds:
        try:
            accepted.append(load(environ={name: value}))
        except SettingsError:
            continue
    assert accepted, name


@given(
    st.dictionaries(
        st.text(string.ascii_uppercase + "_", max_size=20),
        st.text(st.characters(blacklist_characters="\0", codec="utf-8")),
    )
)
def test_any_environment_gives_settings_or_a_settings_error(
    environ: dict[str, str],
) -> None:
    try:
        load(environ={ENV_PREFIX + name: value for name, value in environ.items()})
    except SettingsError:
        return


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [*Settings.__struct_fields__, "feeds", "stations", "url", "id"]
                )
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_whatever_a_file_holds_the_error_can_be_explained(document: object) -> None:
    if not isinstance(document, dict):
        return
    module._anchor(document, Path("/x"))
    variables = module._overlay(document, {"WIREWATCH_KAFKA_BOOTSTRAP": "a:1"})
    try:
        msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        assert module._explain(str(error), "f", variables)  # noqa: PT017 - or it is valid


def test_settings_are_read_from_the_process_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "WIREWATCH_PREFIX", "mine-")
    assert load().prefix == "mine-"


def test_defaults_are_within_their_own_limits() -> None:
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()
    assert math.isfinite(Settings().rss.interval_s)


@pytest.mark.parametrize(
    "variable", ["KAFKA_PASSWORD", "ELASTICSEARCH_PASSWORD", "ELASTICSEARCH_API_KEY"]
)
def test_a_secret_may_lie_in_a_file(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s e c r e t\n")
    settings = load(environ={f"WIREWATCH_{variable}_FILE": str(file)})
    section, _, key = variable.lower().partition("_")
    assert getattr(getattr(settings, section), key) == "s e c r e t"


@pytest.mark.parametrize("content", [b"", b"\n", b"hunter2\ntwo\n", b"\xff\xfe"])
def test_a_file_without_one_secret_is_an_error_that_shows_none(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="WIREWATCH_KAFKA_PASSWORD_FILE") as caught:
        load(environ={"WIREWATCH_KAFKA_PASSWORD_FILE": str(file)})
    assert "hunter2" not in str(caught.value)


def test_a_secret_comes_from_one_place() -> None:
    variables = {"WIREWATCH_KAFKA_PASSWORD": "a", "WIREWATCH_KAFKA_PASSWORD_FILE": "b"}
    with pytest.raises(SettingsError, match="both"):
        load(environ=variables)


def test_a_secrets_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none cannot be read: No such file"):
        load(environ={"WIREWATCH_KAFKA_PASSWORD_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('contact = "a\\nX-Evil: 1"', "http.contact must be printable"),
        ('user_agent = "wïrewatch"', "http.user_agent must be printable"),
        ('allow_private = ["http://intranet/"]', "http.allow_private takes hosts"),
        ('allow_private = ["10.0.0.0/8"]', "http.allow_private takes hosts"),
        ('allow_private = ["*"]', "http.allow_private takes hosts"),
        ('allow_private = ["a.*.example"]', "http.allow_private takes hosts"),
    ],
)
def test_what_cannot_be_sent_or_matched_is_refused(
    write: Write, toml: str, said: str
) -> None:
    assert said in refusal(write(f"[http]\n{toml}\n"))


def test_private_hosts_are_names_addresses_and_patterns(write: Write) -> None:
    hosts = ("localhost", "*.sim.localhost", "10.0.0.5:8080", "::1", "[::1]:80")
    assert load(write(f"[http]\nallow_private = {[*hosts]}\n"), environ={}).http == (
        module.Http(allow_private=hosts)
    )
