"""Configuration: ``wirewatch.toml``, with environment variables over it, read once.

Every setting has a name of the form ``section.key`` in the file and
``WIREWATCH_SECTION_KEY`` in the environment (lists are in the file only). Unknown names
are errors that name the nearest known one. Secrets are best given by environment, or as
the content of a file that ``WIREWATCH_SECTION_KEY_FILE`` names (as Docker and Kubernetes
hand them out); a setting's value never appears in an error message.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from msgspec import Meta

from streams.errors import SettingsError


ENV_PREFIX = "WIREWATCH_"
#: Read by the command line, not settings of the system.
ENV_OF_COMMAND = frozenset({"WIREWATCH_CONFIG"})

#: A tag's form, not its registry (RFC 5646 section 2.1): a language of two or three
#: letters, then what narrows it.
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
#: ISO 3166-1 alpha-2.
COUNTRY = re.compile(r"[a-z]{2}", re.ASCII | re.IGNORECASE)
#: A name, an address, or all names under a name; with or without a port.
PRIVATE_HOST = re.compile(
    r"(?:(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?|[0-9a-f:.]+",
    re.ASCII | re.IGNORECASE,
)
#: How cursors of shards begin, which lie beside those of feeds.
SHARD_KEY = "rss shard "
#: What a pattern of file names is tried on.
A_MOMENT = datetime(2026, 11, 24, 8, 10, 30, tzinfo=UTC)
SUGGESTIONS_MAX = 3

SECRETS = frozenset({"password", "api_key"})
#: After a secret's variable: the file that holds it.
FILE_SUFFIX = "_FILE"
#: What topics and indices may be called: the stricter of Kafka and Elasticsearch.
PREFIX = re.compile(r"([a-z0-9][a-z0-9._-]*)?")
PREFIX_MAX = 100

Positive = Annotated[float, Meta(gt=0)]

REFUSALS_MAX = 20
#: A fifth of it (51 MB) takes what three stages make of a batch each (4 MiB before it is
#: read), with their tables, and of those that follow in a second: then what has been
#: read is trimmed.
LOG_SIZE_LEAST_GB = 0.25


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that belong together; what is secret does not show in its ``repr``."""

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={_redacted(name, getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({shown})"


class EmbeddedLog(Section, frozen=True, kw_only=True):
    """The log in one SQLite file."""

    #: FULL: acknowledged means on disk. NORMAL: a power cut may take the last second.
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    #: Above 70 % of it what has been read goes early; above 80 % intake waits.
    size_max_gb: Positive = 10.0


class Kafka(Section, frozen=True, kw_only=True):
    """The brokers, and how to reach them."""

    bootstrap: str = "localhost:9092"
    replication: Annotated[int, Meta(ge=1)] = 1
    #: A worker gives up its partitions 2 s earlier (the lease).
    session_timeout_s: Annotated[float, Meta(gt=2)] = 10.0
    #: Stable name of this worker's slot: a restart keeps its partitions (KIP-345).
    instance: str = ""
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = ""
    password: str = ""
    #: PEM; who signs the brokers' certificates. '': who the system trusts.
    ca_file: str = ""
    #: PEM; the certificate by which brokers know us (mTLS), and its key, if apart.
    cert_file: str = ""
    key_file: str = ""


class Elasticsearch(Section, frozen=True, kw_only=True):
    """The search servers, and how to reach them."""

    #: Of one node, or of several, with commas between: who is away is passed over.
    url: str = "http://localhost:9200"
    api_key: str = ""
    username: str = ""
    password: str = ""
    #: PEM; who signs the nodes' certificates. '': who the system trusts.
    ca_file: str = ""
    replicas: Annotated[int, Meta(ge=0)] = 0
    request_timeout_s: Positive = 30.0


class Stages(Section, frozen=True, kw_only=True):
    """What all stages have in common."""

    #: More refusals in a row stop a stage: then it is not the records. Whoever has looked,
    #: and found that it is, raises this for one start, and they are put aside.
    refusals_max: Annotated[int, Meta(ge=1)] = REFUSALS_MAX


class Annotate(Section, frozen=True, kw_only=True):
    """Reading texts."""

    #: Worker processes; 0 means one a core.
    processes: Annotated[int, Meta(ge=0)] = 0


class Http(Section, frozen=True, kw_only=True):
    """The one guarded client through which every outbound request goes."""

    user_agent: str = "wirewatch/0.3 (news monitoring)"
    #: An address (web or e-mail) at which a site's owner finds who asks; empty: none.
    contact: str = ""
    timeout_s: Positive = 30.0
    #: Of the body as decompressed.
    size_max_mb: Positive = 10.0
    #: Hosts whose addresses may be private or loopback: HOST, HOST:PORT, ``*.DOMAIN``.
    allow_private: tuple[str, ...] = ()


class Feed(Section, frozen=True, kw_only=True):
    """One feed to watch."""

    url: str
    #: Stable; defaults to the URL without scheme and credentials.
    id: str = ""
    name: str = ""
    #: Defaults to the registrable domain of the URL.
    publisher: str = ""
    country: str = ""
    language: str = ""
    #: Seconds between polls; 0: as often as what it gives is worth.
    interval_s: Annotated[float, Meta(ge=0)] = 0.0
    #: For the user: shown, exported, searched by.
    tags: tuple[str, ...] = ()
    #: Whether to read the pages that its entries link to.
    full_text: bool = False


class Rss(Section, frozen=True, kw_only=True):
    """The feeds, and how often they are asked."""

    #: On average over all feeds: lively ones are asked more often, quiet ones less.
    interval_s: Positive = 300.0
    interval_min_s: Positive = 60.0
    interval_max_s: Positive = 3600.0
    #: A server's wish for fewer polls (ttl, max-age, skipHours) counts up to this.
    hint_max_s: Positive = 900.0
    #: Requests under way at once, over all hosts; one at a time per host.
    parallel: Annotated[int, Meta(ge=1)] = 64
    #: Between two requests to a host.
    host_gap_s: Annotated[float, Meta(ge=0)] = 1.0
    #: Worker processes that parse; 0: half the cores, one at least.
    parsers: Annotated[int, Meta(ge=0)] = 0
    #: What a parser may take; a document that needs more is refused.
    parser_memory_mb: Annotated[int, Meta(ge=1)] = 512
    #: Which of several processes this is, such as 2/8; empty: the only one.
    shard: str = ""
    #: Folder of the bodies as fetched (WARC); empty: none are kept.
    archive: str = ""
    #: Days that they are kept.
    archive_days: Positive = 30.0
    #: The public address by which hubs (W3C WebSub) reach ``websub_listen``; empty: off.
    websub_callback: str = ""
    #: HOST:PORT, port 0 for any that is free.
    websub_listen: str = "127.0.0.1:0"
    #: What a hub is asked for.
    websub_lease_s: Positive = 432_000.0
    feeds: tuple[Feed, ...] = ()


class Station(Section, frozen=True, kw_only=True):
    """One radio station, whose transcripts appear in a folder."""

    id: str
    name: str = ""
    #: Watched; relative to the configuration file.
    folder: str
    country: str = ""
    language: str = ""
    #: IANA name; for times in file names.
    timezone: str = "UTC"
    #: strptime pattern of the recording's start in a file's name (without suffix);
    #: without one, a date and time such as 2026-11-05_0700 in it is understood.
    name_pattern: str = ""
    #: Where the audio is, if anywhere; ``{name}`` is the file's name without suffix.
    media_url: str = ""


class Radio(Section, frozen=True, kw_only=True):
    """The stations."""

    #: A file is taken when its size and time have stood still for so long.
    settle_s: Annotated[float, Meta(ge=0)] = 2.0
    interval_s: Positive = 1.0
    #: An item has about so many words.
    item_words: Annotated[int, Meta(ge=1)] = 250
    stations: tuple[Station, ...] = ()


class Monitor(Section, frozen=True, kw_only=True):
    """Metrics and health over HTTP, for machines that watch."""

    #: HOST:PORT, port 0 for any that is free; empty: off.
    listen: str = ""


class Logs(Section, frozen=True, kw_only=True):
    """The log lines of ``run``, ``connect`` and ``worker``."""

    format: Literal["text", "json"] = "text"


class Settings(Section, frozen=True, kw_only=True):
    """Everything a process needs to know before it starts."""

    #: embedded: one process, no server. servers: Kafka and Elasticsearch.
    mode: Literal["embedded", "servers"] = "embedded"
    #: Folder of the embedded log and index; relative to the configuration file.
    data: str = "data"
    #: Before every topic, consumer group, index and alias, such as ``test-``.
    prefix: str = ""
    log: EmbeddedLog = EmbeddedLog()
    kafka: Kafka = Kafka()
    elasticsearch: Elasticsearch = Elasticsearch()
    stages: Stages = Stages()
    annotate: Annotate = Annotate()
    http: Http = Http()
    monitor: Monitor = Monitor()
    logs: Logs = Logs()
    rss: Rss = Rss()
    radio: Radio = Radio()

    @property
    def data_folder(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data).expanduser().resolve()


def load(
    path: Path | None = None,
    *,
    data: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings of *path* (none: the defaults), environment over file.

    ``data`` (a command's option) goes over both. Relative paths in the file are taken
    from the file's folder, others from the working folder. Raises SettingsError, which
    names file, key and remedy.
    """
    document: dict[str, Any] = {}
    where = "the environment"
    if path is not None:
        where = str(path)
        document = _read(path)
        _anchor(document, path.resolve().parent)
    variables = _overlay(document, environ)
    if data is not None:
        document["data"] = data
    try:
        # Not strict: what comes from the environment is text.
        settings = msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), where, variables)) from None
    _check(settings, where)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"there is no configuration file {path}: name another with --config"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _anchor(document: dict[str, Any], folder: Path) -> None:
    """Make the paths in *document* absolute; what is no path is found out later."""
    document.setdefault("data", "data")
    for table, key in (
        (document, "data"),
        *((document.get("kafka"), key) for key in ("ca_file", "cert_file", "key_file")),
        (document.get("elasticsearch"), "ca_file"),
        (document.get("rss"), "archive"),
        *((station, "folder") for station in _stations(document)),
    ):
        if isinstance(table, dict) and isinstance(given := table.get(key), str):
            table[key] = str(folder / Path(given).expanduser()) if given else ""


def _stations(document: dict[str, Any]) -> list[Any]:
    radio = document.get("radio")
    stations = radio.get("stations") if isinstance(radio, dict) else None
    return stations if isinstance(stations, list) else []


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put what *environ* says into *document*; return the variable of each place."""
    variables: dict[str, str] = {}
    known = dict(_names())
    for name, value in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or name in ENV_OF_COMMAND:
            continue
        if name not in known:
            hint = _nearest(name, [*known, *ENV_OF_COMMAND], shared=ENV_PREFIX)
            raise SettingsError(f"unknown environment variable {name}: {hint}")
        section, key = known[name]
        place = f"{section}.{key}" if section else key
        if place in variables:
            raise SettingsError(
                f"both {variables[place]} and {name} are set: unset one"
            )
        table = document.setdefault(section, {}) if section else document
        if isinstance(table, dict):  # else the file is wrong, which is said later
            is_file = name.endswith(FILE_SUFFIX) and key in SECRETS
            table[key] = _secret_in(Path(value), name) if is_file else value
            variables[place] = name
    return variables


def _secret_in(path: Path, variable: str) -> str:
    """Return what the file *path* holds, but for the end of its line."""
    try:
        secret = path.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} is not text") from None
    except OSError as error:
        raise SettingsError(
            f"{variable}: {path} cannot be read: {error.strerror}"
        ) from None
    if not secret or "\n" in secret:
        raise SettingsError(f"{variable}: {path} must hold the secret alone, in a line")
    return secret


def _names() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield environment variable, (section, key), for every setting but lists."""
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            for inner in msgspec.structs.fields(field.type):
                if get_origin(inner.type) is not tuple:
                    name = f"{ENV_PREFIX}{field.name}_{inner.name}".upper()
                    yield name, (field.name, inner.name)
                    if inner.name in SECRETS:
                        yield name + FILE_SUFFIX, (field.name, inner.name)
        else:
            yield f"{ENV_PREFIX}{field.name}".upper(), ("", field.name)


def _explain(message: str, where: str, variables: Mapping[str, str]) -> str:
    """Turn msgspec's message into one that names the key and the remedy, no value.

    What came from the environment is called by its variable, not by its place.
    """
    text, _, at = message.partition(" - at `$")
    place = at.strip("`").lstrip(".")
    if "unknown field" in text:
        unknown = text.split("`")[1]
        key = f"{place}.{unknown}" if place else unknown
        return f"{where}: unknown setting {key!r}: {_alike(unknown, place)}"
    if text.startswith("Invalid enum value"):
        text = f"must be one of {', '.join(get_args(_kind_at(place)))}"
    if variable := variables.get(place):
        return f"{variable} in the environment: {text}"
    return f"{where}: {place or 'top level'}: {text}"


def _alike(unknown: str, place: str) -> str:
    """Say which setting is like *unknown*, found at *place*: there, or anywhere."""
    there = _kind_at(place).__struct_fields__
    anywhere = sorted(_places(Settings))
    for key in (unknown, *difflib.get_close_matches(unknown, there, 1)):
        if key in there:
            return f"did you mean {key}?"
    names = {one.rpartition(".")[2] for one in anywhere}
    for key in (unknown, *difflib.get_close_matches(unknown, names, 1)):
        same = [one for one in anywhere if one.rpartition(".")[2] == key]
        if 0 < len(same) <= SUGGESTIONS_MAX:
            return f"did you mean {' or '.join(same)}?"
    return "remove it"


def _places(kind: Any, within: str = "") -> Iterator[str]:
    """Yield the full name of every setting, such as ``rss.feeds.url``."""
    for field in msgspec.structs.fields(kind):
        yield within + field.name
        inner = (
            get_args(field.type)[0] if get_origin(field.type) is tuple else field.type
        )
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _places(inner, f"{within}{field.name}.")


def _nearest(unknown: str, known: Iterable[str], *, shared: str = "") -> str:
    """Say which of *known* is like *unknown*, but for the beginning that all share."""
    names = sorted(name.removeprefix(shared) for name in known)
    nearest = difflib.get_close_matches(unknown.removeprefix(shared), names, 1)
    return f"did you mean {shared}{nearest[0]}?" if nearest else "remove it"


def _kind_at(place: str) -> Any:
    """Return the type of what is at *place*, such as ``rss.feeds[3]``."""
    kind: Any = Settings
    for part in place.split(".") if place else ():
        name, bracket, _ = part.partition("[")
        kind = next(f.type for f in msgspec.structs.fields(kind) if f.name == name)
        if bracket:
            kind = get_args(kind)[0]
    return kind


def _check(settings: Settings, where: str) -> None:
    for fault in _faults(settings):
        raise SettingsError(f"{where}: {fault}")
    if len(settings.prefix) > PREFIX_MAX or not PREFIX.fullmatch(settings.prefix):
        raise SettingsError(
            f"{where}: prefix: use at most {PREFIX_MAX} lower-case letters, digits, "
            "'.', '_' and '-', a letter or digit first"
        )
    if settings.log.size_max_gb < LOG_SIZE_LEAST_GB:
        raise SettingsError(
            f"{where}: log.size_max_gb must be {LOG_SIZE_LEAST_GB} at least: the fifth "
            "of it that is kept for results has to take some of every stage's"
        )
    if settings.rss.interval_min_s > settings.rss.interval_max_s:
        raise SettingsError(
            f"{where}: rss.interval_min_s must not be more than rss.interval_max_s"
        )
    for kind, ids in (
        ("feed", [feed.id or _bare(feed.url) for feed in settings.rss.feeds]),
        ("station", [station.id for station in settings.radio.stations]),
    ):
        if twice := sorted(one for one, n in Counter(ids).items() if n > 1):
            raise SettingsError(
                f"{where}: two {kind}s are called {twice[0].partition('?')[0]!r}"
            )
    for station in settings.radio.stations:
        try:
            ZoneInfo(station.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SettingsError(
                f"{where}: station {station.id!r}: {station.timezone!r} is no "
                "time zone; use an IANA name such as Africa/Bamako"
            ) from None


def _faults(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with a value: whose, which key, what is expected."""
    for key in ("user_agent", "contact"):
        value = getattr(settings.http, key)
        if not (value.isascii() and value.isprintable()):
            yield f"http.{key} must be printable ASCII: it is sent in a header"
    for pattern in settings.http.allow_private:
        if not PRIVATE_HOST.fullmatch(pattern):
            yield (
                "http.allow_private takes hosts such as intranet.example, "
                "*.intranet.example, 10.0.0.5:8080 and [::1]:8080"
            )
    for at, feed in enumerate(settings.rss.feeds):
        whose = f"feed {feed.id!r}" if feed.id else f"rss.feeds[{at}]"
        if fault := fault_of(feed):
            yield f"{whose}: {fault}"
    for station in settings.radio.stations:
        whose = f"station {station.id!r}"
        if station.name_pattern and not _is_time_pattern(station.name_pattern):
            yield (
                f"{whose}: name_pattern must be a strptime pattern, such as "
                "%Y-%m-%d_%H%M"
            )
        if fault := _fault_of_hints(station):
            yield f"{whose}: {fault}"


def fault_of(feed: Feed) -> str:
    """Return which of *feed*'s values cannot be, and what is expected; '' if none."""
    if feed.id.startswith(SHARD_KEY):
        return f"id must not begin with {SHARD_KEY!r}: cursors of shards are called so"
    if not _is_web_address(feed.url):
        return (
            "url must be an http or https address with a host, such as "
            "https://example.org/feed.xml"
        )
    return _fault_of_hints(feed)


def _fault_of_hints(source: Feed | Station) -> str:
    if source.language and not LANGUAGE.fullmatch(source.language):
        return "language must be a BCP 47 tag, such as fr, ha or pt-BR"
    if source.country and not COUNTRY.fullmatch(source.country):
        return "country must be two letters (ISO 3166-1), such as ML or NE"
    return ""


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _is_time_pattern(pattern: str) -> bool:
    """Whether ``strptime`` reads what ``strftime`` writes by *pattern*."""
    try:
        datetime.strptime(A_MOMENT.strftime(pattern), pattern)  # noqa: DTZ007 - only tried
    except (ValueError, re.error):
        return False
    return True


def _bare(url: str) -> str:
    """Return *url* without its scheme and credentials: what a feed is called by default."""
    return re.sub(r"^[^/]*//(?:[^/?#]*@)?", "", url)


def _redacted(name: str, value: object) -> str:
    if name in SECRETS and value:
        return "'***'"
    return re.sub(r"//[^/?#'\"]*@", "//***@", repr(value))
