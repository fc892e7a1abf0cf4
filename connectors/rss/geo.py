"""Where an entry is set: GeoRSS (simple, GML) and W3C geo -> one point. Pure."""

from __future__ import annotations

import math

from collections.abc import Iterator, Mapping
from typing import Any

from streams.records import Point


LAT_MAX = 90.0
LON_MAX = 180.0


def point(entry: Mapping[str, Any]) -> Point | None:
    """Return where feedparser's *entry* is set: of a line or an area the middle.

    None where it does not say, or says what is no place on the earth; so is 0, 0, which
    is what software writes that knows no better.
    """
    where = entry.get("where")
    corners = (
        list(_corners(where.get("coordinates"))) if isinstance(where, Mapping) else []
    )
    if not corners:
        corners = [(_degrees(entry.get("geo_long")), _degrees(entry.get("geo_lat")))]
    lons, lats = zip(*corners, strict=True)
    lon, lat = (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
    # Also false for what is no number.
    on_earth = abs(lat) <= LAT_MAX and abs(lon) <= LON_MAX
    return Point(lat=lat, lon=lon) if on_earth and (lat or lon) else None


def _corners(coordinates: Any) -> Iterator[tuple[float, float]]:
    """Yield (longitude, latitude) of each corner, however deep they are nested."""
    match coordinates:
        case (float() as lon, float() as lat, *_):
            yield lon, lat
        case [*parts]:
            for part in parts:
                yield from _corners(part)


def _degrees(value: object) -> float:
    try:
        return float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan
