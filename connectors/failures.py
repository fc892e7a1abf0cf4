"""Why an address gave nothing: the kinds that a feed's health tells apart."""

from __future__ import annotations

from typing import Literal, NamedTuple

from streams.errors import SourceError, SourceUnavailableError


FailureKind = Literal[
    "dns",  # the name has no address
    "connection",  # refused, reset, unreachable
    "tls",
    "timeout",
    "forbidden",  # an address that is not public, a scheme that is not http
    "redirects",  # too many, in a circle, to nowhere
    "client",  # 4xx but for those below
    "not_found",  # 404
    "gone",  # 410
    "slow_down",  # 429, and 503 with Retry-After
    "server",  # 5xx, or an answer that is not HTTP as it should be
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


class FetchFailedError(SourceUnavailableError):
    """An address gave nothing this time; asking later may help."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return self.failure.message


class FetchRefusedError(SourceError):
    """An address gives nothing that can be used, and will not of itself."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return self.failure.message


#: What is so now will most likely be so the next time.
_LASTING: frozenset[FailureKind] = frozenset(
    {
        "forbidden",
        "redirects",
        "client",
        "not_found",
        "gone",
        "too_large",
        "encoding",
    }
)


def fetch_error(
    kind: FailureKind, message: str, *, status: int = 0, retry_after_s: float = 0.0
) -> FetchFailedError | FetchRefusedError:
    """Return the error to raise for a failure of *kind*."""
    failure = Failure(kind, message, status, retry_after_s)
    return FetchRefusedError(failure) if kind in _LASTING else FetchFailedError(failure)
