import tomllib

from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest

from connectors.rss.subscription import subscription
from connectors.urls import canonical
from streams.settings import Settings, Station, load


SHIPPED = Path(__file__).parents[3] / "wirewatch.toml"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(SHIPPED, environ={})


def test_it_loads_and_watches_feeds_in_several_languages(settings: Settings) -> None:
    languages = {feed.language for feed in settings.rss.feeds}
    assert {"en", "fr", "ar", "ha", "es"} <= languages
    assert len(settings.rss.feeds) >= 40
    assert settings.radio.stations[0].folder == str(SHIPPED.parent / "radio")


def test_no_two_feeds_are_one(settings: Settings) -> None:
    pages = [canonical(feed.url) for feed in settings.rss.feeds]
    idents = [subscription(feed).source.id for feed in settings.rss.feeds]
    assert "" not in pages
    assert len(set(pages)) == len(pages)
    assert len(set(idents)) == len(idents)


def test_every_scalar_setting_is_shown_with_its_default() -> None:
    shown = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert _missing(Settings, shown) == []


def test_a_setting_that_has_a_default_is_shown_with_it_for_a_station_too() -> None:
    (station,) = tomllib.loads(SHIPPED.read_text("utf-8"))["radio"]["stations"]
    named = {"id", "name", "folder"}
    assert set(_missing(Station, station)) == named


def _missing(kind: Any, shown: dict[str, Any]) -> list[str]:
    missing: list[str] = []
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            within = shown.get(field.name, {})
            missing += [f"{field.name}.{name}" for name in _missing(field.type, within)]
        elif get_origin(field.type) is tuple and field.name in {"feeds", "stations"}:
            assert get_args(field.type)
        elif shown.get(field.name, "absent") != _plain(field.default):
            missing.append(field.name)
    return missing


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
