"""Where a page of results ends: the opaque ``after`` of :class:`~mappings.face.Page`.

Pages go by key, not by number, so any depth costs the same. A token belongs to one
query; it names its last result's place in the order. Sorted by time, a result that is
written meanwhile neither hides another nor shows one twice; sorted by relevance it may,
because scores depend on all documents.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from mappings.face import Kind, Sort
from mappings.query import Query
from streams.errors import QueryError
from streams.text import fingerprint


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last result of a page: its sort key (score, or time in ms) and its id."""

    query: str
    key: float
    ident: str


_decode = msgspec.json.Decoder(Place).decode
_FOREIGN = "this is not where a page of these results ended; start without it"


def encode(query: Query, kind: Kind, sort: Sort, key: float, ident: str) -> str:
    """Return the token for what follows the result *ident* with sort key *key*."""
    place = Place(_name(query, kind, sort), key, ident)
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode(token: str, query: Query, kind: Kind, sort: Sort) -> Place | None:
    """Return what :func:`encode` was told; None for the first page.

    Raises QueryError when *token* is something else, or of another query.
    """
    if not token:
        return None
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        place = _decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise QueryError(_FOREIGN, 0) from None
    if place.query != _name(query, kind, sort):
        raise QueryError(_FOREIGN, 0)
    return place


def _name(query: Query, kind: Kind, sort: Sort) -> str:
    return fingerprint(str(query), kind, sort)[:12]
