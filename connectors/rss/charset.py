"""Bytes of a feed -> its text: which encoding they are in. Pure; never fails.

In the order of RFC 7303 as feedparser has it: the header's charset, the XML declaration,
the byte order mark, a guess; the first in which the bytes are text. Three departures, each
because the order alone gives garbage where there is a text to be had: two or four bytes a
character win over any header (as UTF-8 such a body is all NULs); what is UTF-8 throughout
is UTF-8 (no text in another encoding is by chance, and nearly all bytes are text in those
with one byte a character); and some bad bytes in what is otherwise UTF-8, or in a declared
charset of Asia, cost those characters only.
"""

from __future__ import annotations

import codecs
import re

from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding


#: Python's codecs that are no charsets, or take more than linear time.
_NO_CHARSETS = frozenset(
    {
        *("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"),
        *("utf-7", "mbcs", "oem"),
    }
)
#: What is declared in the first name is nearly always text in the second, its superset.
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "ascii": "utf-8"}
#: Beginnings in 16 and 32 bits a character: a mark, or "<" and JSON's "{".
_WIDE = (
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00<", "utf-16-be"),
    (b"<\x00", "utf-16-le"),
    (b"\x00{", "utf-16-be"),
    (b"{\x00", "utf-16-le"),
)
_EBCDIC = b"\x4c\x6f\xa7\x94"
_DECLARED = re.compile(
    rb"""<\?xml\s[^>]{0,200}?\bencoding\s{0,9}=\s{0,9}["']\s{0,9}([\w.:-]{1,40})"""
)
_HEADER = re.compile(r""";\s*charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARATION_WITHIN = 1_000
#: So many bytes that are not in the encoding, of all that are not ASCII, are faults in
#: it; more, and it is another encoding.
_FAULTS_MAX = 0.1
_GUESS_BYTES = 500_000
#: So many bytes beyond ASCII that are UTF-8 are no chance.
_CERTAIN_BYTES = 16


def decode(body: bytes, content_type: str = "") -> str:
    """Return the text of *body*, without a byte order mark."""
    marked = body.startswith(codecs.BOM_UTF8)
    body = body.removeprefix(codecs.BOM_UTF8)
    for mark, wide in _WIDE:
        if body.startswith(mark):
            return body.decode(wide, "replace").lstrip("\ufeff")
    if body.isascii():
        # Most are. One that only says that it is wide is an old mistake of generators.
        return body.decode("ascii")
    declared = list(_declared(body, content_type))
    beyond_ascii = len(body) - len(body.translate(None, _ABOVE))
    certain = ["utf-8"] if marked or beyond_ascii >= _CERTAIN_BYTES else []
    for name in (*certain, *declared, "utf-8"):
        try:
            return body.decode(name).lstrip("\ufeff")
        except UnicodeDecodeError:
            pass
    for name in (*declared, "utf-8"):
        faults = _Faults()
        text = faults.decode(body, name)
        if faults.count <= _FAULTS_MAX * beyond_ascii:
            return text
    return body.decode(_guess(body), "replace")


def _declared(body: bytes, content_type: str) -> Iterator[str]:
    """Yield the charsets that are declared and are ones: the header's, the document's."""
    if header := _HEADER.search(content_type):
        yield from _charset(header[1])
    head = body[:_DECLARATION_WITHIN]
    if body.startswith(_EBCDIC):
        head = head.decode("cp037").encode()
        yield from _charset("cp037")
    if declaration := _DECLARED.search(head):
        yield from _charset(declaration[1].decode())


def _charset(name: str) -> Iterator[str]:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return
    known = _SUPERSETS.get(codec.name, codec.name)
    # A body of one byte a character cannot be in what has two or four.
    if known in _NO_CHARSETS or known.startswith(("utf-16", "utf-32")):
        return
    try:
        b"aa".decode(known)  # hex, zip and others are no text encodings
    except (LookupError, ValueError):
        return
    yield known


class _Faults:
    """Decodes what is nearly in an encoding; counts the bytes that are not."""

    def __init__(self) -> None:
        self.count = 0

    def decode(self, body: bytes, name: str) -> str:
        """Return *body* as *name*, each byte that is not in it as Windows-1252."""
        decoder = codecs.getincrementaldecoder(name)("surrogateescape")
        text = decoder.decode(body, True)
        return _ESCAPED.sub(self._mended, text)

    def _mended(self, match: re.Match[str]) -> str:
        self.count += len(match[0])
        return match[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace")


_ESCAPED = re.compile("[\udc80-\udcff]+")
_ABOVE = bytes(range(0x80, 0x100))


def _guess(body: bytes) -> str:
    guess = detect_encoding(body, max_len=_GUESS_BYTES, html5_compatible=False)
    return next(_charset(str(guess)), "cp1252")
