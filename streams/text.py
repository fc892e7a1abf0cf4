"""Text comparison and stable ids: pure, and the same on every machine."""

from __future__ import annotations

import hashlib
import unicodedata


def normalize(text: str) -> str:
    """Case-fold and collapse white space (NFKC), so that copies compare equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Casefolding can undo the normal form (U+0345), and the other way round.
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def fingerprint(*parts: str) -> str:
    """Return 96 bits that name *parts* and their boundaries, as 24 hex digits."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        # A lone surrogate can come out of broken JSON: it must not stop a stage.
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()
