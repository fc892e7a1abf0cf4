"""Why an address gave nothing: the kinds that a feed's health tells apart."""

from __future__ import annotations

from typing import Literal, NamedTuple


FailureKind = Literal[
    "dns",  # the name has no address
    "connection",  # refused, reset, unreachable
    "tls",
    "timeout",
    "forbidden",  # an address that is not public, a scheme that is not http
    "redirects",  # too many
    "client",  # 4xx but for those below
    "not_found",  # 404
    "gone",  # 410
    "slow_down",  # 429, and 503 with Retry-After
    "server",  # 5xx
    "too_large",
    "encoding",  # it cannot be decompressed
    "not_a_feed",
    "empty",
    "parser",  # it takes a parser's time or memory
]


class Failure(NamedTuple):
    """Why a poll gave nothing."""

    kind: FailureKind
    #: For a person; no credentials.
    message: str
    status: int = 0
    #: How long the server asks us to stay away.
    retry_after_s: float = 0.0
