"""Addresses on the web as text: what may be shown, what names the same page.

Pure; nothing here raises on a hostile address.
"""

from __future__ import annotations

import re

from functools import cache
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from publicsuffixlist import PublicSuffixList


#: Query parameters that say how a reader came to a page, not which page it is.
TRACKING = re.compile(
    r"""(?:
        utm_\w* | at_\w* | mc_[ce]id | ns_\w* | pk_\w* | piwik_\w* | mtm_\w* | hsa_\w*
        | _?hs(?:enc|mi) | fb_\w* | fbclid | gclid | gclsrc | dclid | gbraid | wbraid
        | msclkid | yclid | twclid | igshid | igsh | ttclid | li_fat_id | _ga | _gl
        | xtor | ocid | cmp | cmpid | campaign_id | icid | ncid | ito | s_cid | smid
        | sref | taid | traffic_source | wt_?mc\w* | mkt_tok | oly_\w* | vero_id
        | __twitter_impression | ref_src | ref_url | ftag | guccounter | guce_\w*
        | maca | pfmredir | spref | feed_id | rss_?id
    )""",
    re.VERBOSE | re.IGNORECASE,
)
#: Query parameters whose value opens a door.
SECRET = re.compile(
    r"(?:\w*[_-])?(?:key|apikey|token|auth|secret|pass|password|passwd|pwd|sig"
    r"|signature|credential|session|sid|jwt)",
    re.IGNORECASE,
)
HIDDEN = "***"
#: Shorter values of such a parameter may be words.
TOKEN_MIN = 16

#: RFC 3986: what a path or query may hold unescaped, and the sign of an escape.
_PATH_SAFE = "/:@!$&'()*+,;=~-._"
_QUERY_SAFE = "/:@!$'()*,;~-._?"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_WWW = re.compile(r"www\d?\.(?=[^.]+\.)")


def public_url(url: str) -> str:
    """Return *url* fit for a log, a record or an error: no user, password or token."""
    parts = _split(url)
    # Without a port that is one it is a password with a slash in it that follows.
    if parts is None or not _has_port(parts):
        return f"(an address of {len(url)} characters that cannot be read)"
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(_veiled(pair) for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, host, parts.path, query, parts.fragment))


def secrets_of(url: str) -> frozenset[str]:
    """Return what :func:`public_url` leaves out, as it is written and as it is meant."""
    parts = _split(url)
    if parts is None:
        return frozenset()
    found = [parts.netloc.rpartition("@")[0].partition(":")[2]]
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if SECRET.fullmatch(unquote(name)):
            found.append(value)
    return frozenset(filter(None, (*found, *map(unquote, found))))


def without_secrets(body: bytes, url: str) -> bytes:
    """Return *body* without the credentials of *url*, where it repeats them.

    That is as parameters and as user and password; long ones that no slug is anywhere.
    """
    parts = _split(url)
    if parts is None:
        return body
    user = parts.netloc.rpartition("@")[0]
    if user.partition(":")[2]:
        body = body.replace(_as_bytes(f"{user}@"), b"")
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if not value or not SECRET.fullmatch(unquote(name)):
            continue
        for told in {pair, unquote(pair)}:
            whole = re.escape(_as_bytes(told)) + rb"(?![\w%.~-])"
            body = re.sub(whole, _veiled_in, body)
        if len(value) >= TOKEN_MIN and any(map(str.isdigit, value)):
            body = body.replace(_as_bytes(value), _as_bytes(HIDDEN))
    return body


def _veiled_in(found: re.Match[bytes]) -> bytes:
    return found[0].partition(b"=")[0] + _as_bytes(f"={HIDDEN}")


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def canonical(url: str) -> str:
    """Return the form that all addresses of the same page have; '' if it is no page.

    Scheme, ``www.``, default port, fragment, trailing slash, tracking parameters and
    the order of the others make no difference. Idempotent.
    """
    parts = _split(url.strip())
    if parts is None or parts.scheme.lower() not in _DEFAULT_PORTS:
        return ""
    host = _host(parts)
    if not host:
        return ""
    path = _escaped(_without_dots(parts.path), _PATH_SAFE).rstrip("/")
    pairs = sorted(
        _escaped(pair, _QUERY_SAFE + "=")
        for pair in parts.query.split("&")
        if pair and not TRACKING.fullmatch(unquote(pair.partition("=")[0]))
    )
    return urlunsplit(("https", host, path, "&".join(pairs), ""))


def joined(base: str, url: str) -> str:
    """Return *url*, which may be relative to *base*, in full as far as possible."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def web(address: str, base: str) -> str:
    """Return *address* in full, as far as *base* tells; '' if it is not on the web.

    What is neither http nor https leads nowhere that a reader should go.
    """
    if not address:
        return ""
    full = joined(base, address)
    parts = _split(full)
    if parts is None:
        return ""
    scheme = parts.scheme.lower()
    if not scheme and full.startswith("//"):
        return f"https:{full}"
    return full if scheme in {"", "http", "https"} else ""


def registrable_domain(url: str) -> str:
    """Return the domain of *url* that somebody registered, such as ``bbc.co.uk``.

    By the public suffix list that comes with the package. The host itself where there
    is no such domain (an IP address, ``localhost``); '' where there is no host.
    """
    parts = _split(url)
    host = _hostname(parts) if parts is not None else ""
    if not host or _ADDRESS.fullmatch(host):
        return host
    return _suffixes().privatesuffix(host) or host


def host_of(url: str) -> str:
    """Return the host of *url*, in lower case; '' if it has none."""
    parts = _split(url)
    return _hostname(parts) if parts is not None else ""


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _has_port(parts: SplitResult) -> bool:
    """Whether what follows the host, if anything does, is a port."""
    try:
        parts.port  # noqa: B018 - reading it is what raises
    except ValueError:
        return False
    return True


def _hostname(parts: SplitResult) -> str:
    """Return the host in lower case and ASCII (IDNA); '' if it is none."""
    try:
        host = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii").lower()
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""


def _host(parts: SplitResult) -> str:
    host = _hostname(parts)
    if ":" in host:
        host = f"[{host}]"
    try:
        port = parts.port
    except ValueError:
        return ""
    while (short := _WWW.sub("", host, count=1)) != host and host.startswith("www"):
        host = short
    if port is None or port == _DEFAULT_PORTS[parts.scheme.lower()]:
        return host
    return f"{host}:{port}"


def _without_dots(path: str) -> str:
    """Remove ``.`` and ``..`` (RFC 3986 section 5.2.4) and doubled slashes."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)


def _escaped(text: str, safe: str) -> str:
    """Return *text* with each byte escaped just where it must be.

    An escape of a delimiter stays one: it was not meant as a delimiter.
    """
    return "".join(
        part if part[:1] == "%" and len(part) == len("%2F") else quote(part, safe=safe)
        for part in re.split(r"(%[0-9A-F]{2})", _decoded(text))
    )


def _decoded(text: str) -> str:
    """Undo escapes of unreserved characters (RFC 3986 section 2.3); others in capitals."""

    def one(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        if character.isascii() and (character.isalnum() or character in "-._~"):
            return character
        return match[0].upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", one, text)


def _veiled(pair: str) -> str:
    name, sign, _ = pair.partition("=")
    return f"{name}={HIDDEN}" if sign and SECRET.fullmatch(unquote(name)) else pair
