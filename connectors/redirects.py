"""From the address that was asked to the one that answers: where redirects may lead."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from yarl import URL

from connectors.addresses import PrivateHosts
from connectors.failures import (
    FailureKind,
    FetchFailedError,
    FetchRefusedError,
    fetch_error,
)
from connectors.urls import public_url, secrets_of, without_secrets


REDIRECTS_MAX = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Those that may be remembered.
PERMANENT = frozenset({301, 308})
#: Those that a request with a body may follow with its body.
SAME_METHOD = frozenset({307, 308})

_COOKIES = frozenset({"set-cookie", "set-cookie2"})


class Way:
    """One request on its way; ``at`` is where it is now."""

    def __init__(self, url: str, form: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.form = form
        self.private = False
        #: Each redirect: its status, and where it led, without credentials.
        self.turns: list[tuple[int, str]] = []
        self._seen: set[URL] = set()
        self._permanent = True

    def start(self, private: PrivateHosts) -> None:
        """Judge the first address. Raises as :meth:`turn` does; ValueError too."""
        self._allowed = private
        self.at = URL(self.url)
        self._enter()
        self._began_private, self._began_safe = self.private, self.at.scheme == "https"

    def turn(self, status: int, location: str) -> None:
        """Go where a redirect leads. Raises FetchRefusedError; ValueError for no URL."""
        if not location:
            raise fetch_error(
                "redirects",
                f"the server answers {status}, and not where to",
                status=status,
            )
        if self.form is not None and status not in SAME_METHOD:
            raise fetch_error(
                "redirects", f"the server answers {status} to a form", status=status
            )
        if len(self._seen) > REDIRECTS_MAX:
            raise fetch_error(
                "redirects", f"more than {REDIRECTS_MAX} redirects", status=status
            )
        self._permanent = self._permanent and status in PERMANENT
        self.at = _next(self.at, location)
        self._enter()
        self.turns.append((status, public_url(str(self.at))))

    def moved_to(self) -> str:
        """Return where permanent redirects alone led, if that may be remembered."""
        new = str(self.at)
        if len(self._seen) == 1 or not self._permanent or public_url(new) != new:
            return ""
        if self.private and not self._began_private:
            return ""
        if self._began_safe and self.at.scheme != "https":
            return ""
        return new

    def kept(self, answer: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
        """Return the header but for what is nobody else's business."""
        secrets = secrets_of(self.url) | secrets_of(str(self.at))
        return tuple(
            (name, value)
            for name, value in answer.headers.items()
            if name.lower() not in _COOKIES
            and not any(secret in value for secret in secrets)
        )

    def without_secrets(self, body: bytes) -> bytes:
        """Return *body* without the credentials that it repeats."""
        return without_secrets(without_secrets(body, self.url), str(self.at))

    def told(self, message: str) -> str:
        """Return *message* with the address before it, and where that led."""
        shown = public_url(self.url)
        if len(self._seen) > 1:
            return f"{shown}: it leads to {public_url(str(self.at))}: {message}"
        return f"{shown}: {message}"

    def failed(
        self, kind: FailureKind, message: str
    ) -> FetchFailedError | FetchRefusedError:
        """Return the error for *message* about this way."""
        return fetch_error(kind, self.told(message))

    def _enter(self) -> None:
        if self.at in self._seen:
            raise fetch_error("redirects", "it redirects back to where it came from")
        self._seen.add(self.at)
        host = self.at.raw_host
        if self.at.scheme not in {"http", "https"} or not host:
            raise fetch_error(
                "forbidden",
                f"only http and https are followed, not {self.at.scheme[:20]!r}",
            )
        self.private = self._allowed.holds(host, self.at.port or 0)


def _next(at: URL, location: str) -> URL:
    """Return where a redirect leads; credentials stay with their origin."""
    target = at.join(URL(location)).with_fragment(None)
    bare = target.user is None and target.password is None
    if bare and at.user is not None and target.origin() == at.origin():
        return target.with_user(at.user).with_password(at.password)
    return target
