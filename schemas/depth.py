"""How deep a record may be nested (semantics.md, section 1: what cannot be read)."""

from typing import Final

DEPTH_LIMIT: Final = 64
"""Levels of objects and arrays: MongoDB stops at 100, and a document wraps the statement."""


def may_be_deep(value: bytes) -> bool:
    """Tell whether JSON may be nested deeper than a record may be: to count brackets is far cheaper than to walk.

    `[.]` and `[,]` stand in texts only; the xAPI video profile divides the segments that were watched by them.
    """
    # To take a byte out looks for it by memchr, to count it goes byte by byte: less than half the time.
    brackets = 2 * len(value) - len(value.replace(b"{", b"")) - len(value.replace(b"[", b""))
    return brackets > DEPTH_LIMIT and brackets - value.count(b"[.]") - value.count(b"[,]") > DEPTH_LIMIT
