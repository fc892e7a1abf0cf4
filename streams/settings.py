"""Configuration: ``wirewatch.toml``, with environment variables over it, read once.

Every setting has a name of the form ``section.key`` in the file and
``WIREWATCH_SECTION_KEY`` in the environment (lists are in the file only). Unknown names
are errors that name the nearest known one. Secrets are best given by environment; a
setting's value never appears in an error message.
"""

from __future__ import annotations

import difflib
import os
import tomllib

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streams.errors import SettingsError


ENV_PREFIX = "WIREWATCH_"
#: Read by the command line, not settings of the system.
ENV_OF_COMMAND = frozenset({"WIREWATCH_CONFIG", "WIREWATCH_DATA"})


class EmbeddedLog(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The log in one SQLite file."""

    #: FULL: acknowledged means on disk. NORMAL: a power cut may take the last second.
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    #: Above 70 % of it what has been read goes early; above 80 % intake waits.
    size_max_gb: float = 10.0


class Kafka(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The brokers, and how to reach them."""

    bootstrap: str = "localhost:9092"
    replication: int = 1
    session_timeout_s: float = 10.0
    #: Stable name of this worker's slot: a restart keeps its partitions (KIP-345).
    instance: str = ""
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = ""
    password: str = ""
    ca_file: str = ""


class Elasticsearch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The search servers, and how to reach them."""

    url: str = "http://localhost:9200"
    api_key: str = ""
    username: str = ""
    password: str = ""
    ca_file: str = ""
    replicas: int = 0
    request_timeout_s: float = 30.0


class Annotate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reading texts."""

    #: Worker processes; 0 means one a core.
    processes: int = 0


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one guarded client through which every outbound request goes."""

    user_agent: str = "wirewatch/0.1 (news monitoring)"
    timeout_s: float = 30.0
    #: Of the body as decompressed.
    size_max_mb: float = 10.0
    #: Hosts whose addresses may be private or loopback.
    allow_private: tuple[str, ...] = ()


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feed to watch."""

    url: str
    #: Stable; defaults to the URL without scheme and credentials.
    id: str = ""
    name: str = ""
    #: Defaults to the registrable domain of the URL.
    publisher: str = ""
    country: str = ""
    language: str = ""
    #: Seconds between polls; 0 means the connector's default.
    interval_s: float = 0.0


class Rss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The feeds, and how often they are asked."""

    interval_s: float = 300.0
    interval_min_s: float = 60.0
    #: Requests under way at once, over all hosts; one at a time per host.
    parallel: int = 16
    feeds: tuple[Feed, ...] = ()


class Station(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One radio station, whose transcripts appear in a folder."""

    id: str
    name: str = ""
    #: Watched; relative to the configuration file.
    folder: str
    country: str = ""
    language: str = ""
    #: IANA name; for times in file names.
    timezone: str = "UTC"
    #: strptime pattern of the recording's start in a file's name (without suffix).
    name_pattern: str = ""
    #: Where the audio is, if anywhere; ``{name}`` is the file's name without suffix.
    media_url: str = ""


class Radio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stations."""

    #: A file is taken when its size and time have stood still for so long.
    settle_s: float = 2.0
    interval_s: float = 1.0
    #: An item has about so many words.
    item_words: int = 250
    stations: tuple[Station, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a process needs to know before it starts."""

    #: embedded: one process, no server. servers: Kafka and Elasticsearch.
    mode: Literal["embedded", "servers"] = "embedded"
    #: Folder of the embedded log and index; relative to the configuration file.
    data: str = "data"
    #: Before every topic, consumer group, index and alias.
    prefix: str = ""
    log: EmbeddedLog = EmbeddedLog()
    kafka: Kafka = Kafka()
    elasticsearch: Elasticsearch = Elasticsearch()
    annotate: Annotate = Annotate()
    http: Http = Http()
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
    from the file's folder. Raises SettingsError, which names file, key and remedy.
    """
    document: dict[str, Any] = {}
    if path is not None:
        document = _read(path)
    where = str(path) if path is not None else "the environment"
    _overlay(document, environ)
    if data is not None:
        document["data"] = data
    try:
        settings = msgspec.convert(document, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {_explain(str(error))}") from None
    _check(settings, where)
    if path is None:
        return settings
    return _anchored(settings, path.resolve().parent, data_given=data is not None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"there is no configuration file {path}: name another with --config"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    known = _names()
    for name, value in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or name in ENV_OF_COMMAND:
            continue
        at = known.get(name)
        if at is None:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {nearest[0]}?" if nearest else ""
            raise SettingsError(f"unknown environment variable {name}{hint}")
        section, key = at
        if section:
            document.setdefault(section, {})[key] = value
        else:
            document[key] = value


def _names() -> dict[str, tuple[str, str]]:
    """Return environment variable -> (section, key), for every scalar setting."""
    names: dict[str, tuple[str, str]] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                if "tuple" not in str(inner.type):
                    name = f"{ENV_PREFIX}{field.name}_{inner.name}".upper()
                    names[name] = (field.name, inner.name)
        else:
            names[f"{ENV_PREFIX}{field.name}".upper()] = ("", field.name)
    return names


def _explain(message: str) -> str:
    """Turn msgspec's message into one that names the key and the nearest known one."""
    text, _, at = message.partition(" - at `$")
    place = at.strip("`").lstrip(".")
    if "unknown field" not in text:
        return f"{place or 'top level'}: {text}"
    unknown = text.split("`")[1]
    key = f"{place}.{unknown}" if place else unknown
    nearest = difflib.get_close_matches(unknown, _fields(place), 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "remove it"
    return f"unknown setting {key!r}: {hint}"


def _fields(place: str) -> tuple[str, ...]:
    """Return the keys known at *place*, such as ``rss.feeds[3]``."""
    kind: Any = Settings
    for part in place.split(".") if place else ():
        name, bracket, _ = part.partition("[")
        kind = next(f.type for f in msgspec.structs.fields(kind) if f.name == name)
        if bracket:
            kind = kind.__args__[0]
    return tuple(kind.__struct_fields__)


def _check(settings: Settings, where: str) -> None:
    for kind, ids in (
        ("feed", [feed.id or feed.url for feed in settings.rss.feeds]),
        ("station", [station.id for station in settings.radio.stations]),
    ):
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise SettingsError(f"{where}: two {kind}s are called {twice[0]!r}")
    for station in settings.radio.stations:
        try:
            ZoneInfo(station.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise SettingsError(
                f"{where}: station {station.id!r}: {station.timezone!r} is no "
                "time zone; use an IANA name such as Africa/Bamako"
            ) from None


def _anchored(settings: Settings, folder: Path, *, data_given: bool) -> Settings:
    stations = tuple(
        msgspec.structs.replace(
            station, folder=str(folder / Path(station.folder).expanduser())
        )
        for station in settings.radio.stations
    )
    data = (
        settings.data if data_given else str(folder / Path(settings.data).expanduser())
    )
    return msgspec.structs.replace(
        settings,
        data=data,
        radio=msgspec.structs.replace(settings.radio, stations=stations),
    )
