"""The string formats of xAPI as annotated types (xAPI 1.0.3, Data, sections 2.2.1, 2.4 and 4).

They are regular expressions without nested repetition, so that no value can stall the stream.
"""

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.ids import SHORT, parse_timestamp, usual_timestamps

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x20<>\"{}|\\^`\x7f]+")  # absolute: RFC 3987, 2.2
_LANGUAGE = re.compile(  # RFC 5646, 2.1: language, script, region, variants, extensions, private use; grandfathered
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})"
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+|en-gb-oed|sgn-be-fr|sgn-be-nl|sgn-ch-de"
    r"|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)",
    re.ASCII | re.IGNORECASE,
)
_DURATION = re.compile(  # ISO 8601:2004, 4.4.3.2
    r"P(?:[0-9.,]+W|(?=[0-9T])(?:[0-9.,]+Y)?(?:[0-9.,]+M)?(?:[0-9.,]+D)?"
    r"(?:T(?=[0-9])(?:[0-9.,]+H)?(?:[0-9.,]+M)?(?:[0-9.,]+S)?)?)"
)
_DURATION_NUMBERS = re.compile(r"P(?:[0-9]+[A-Z]|T)*(?:[0-9]+(?:[.,][0-9]+)?[A-Z])")  # only the last has a fraction
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")  # RFC 4122
_HEX, _VARIANTS = bytes.maketrans(b"0123456789abcdefABCDEFh", b"h" * 22 + b"?"), frozenset(b"89abAB")
_MBOX = re.compile(r"mailto:[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)*")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_SHA2 = re.compile(r"[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*;[ -~\t]*)?"
)  # RFC 2045, 5.1
_VERSION = re.compile(r"[12]\.0(?:\.[0-9]+)?")  # 1.0, 1.0.x, 2.0, 2.0.x (Data 2.4.10; IEEE 9274.1.1, 4.2.9)


USUAL = 256
"""Characters within which a text that recurs is remembered: verbs, activities, languages come again and again."""


def _remembering(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """Return what tells, quickly for what it was asked of before, whether the pattern matches a text as a whole.

    Only for texts shorter than `USUAL`.
    """
    return lru_cache(maxsize=4096)(lambda value: pattern.fullmatch(value) is not None)


is_iri, is_language_tag, is_version = map(_remembering, (_IRI, _LANGUAGE, _VERSION))


def is_uuid(value: str) -> bool:
    """Tell a UUID."""
    return _UUID.fullmatch(value) is not None


def are_uuids(values: Collection[str]) -> bool:
    """Tell whether all are UUIDs, in a third of the time."""
    together = "".join(values).encode("ascii", "replace")
    return (
        set(map(len, values)) <= {36}
        and together.translate(_HEX) == b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh" * len(values)
        and set(together[19::36]) <= _VARIANTS
    )


def is_mbox(value: str) -> bool:
    """Tell a mailto IRI."""
    return _MBOX.fullmatch(value) is not None


def is_timestamp(value: str) -> bool:
    """Tell a timestamp as statements have it."""
    return _is_short_timestamp(value) if len(value) < SHORT else _is_timestamp(value)


def are_timestamps(values: Collection[str]) -> bool:
    """Tell whether all are timestamps as statements have them."""
    return usual_timestamps(values) is not None or all(map(is_timestamp, values))


def _is_timestamp(value: str) -> bool:
    try:
        _timestamp(value)
    except ValueError:
        return False
    return True


_is_short_timestamp = lru_cache(maxsize=512)(_is_timestamp)
"""Of what a document's own fields say, too."""


def _matching(
    pattern: re.Pattern[str], meaning: str, remembering: Callable[[str], bool] | None = None
) -> Callable[[str], str]:
    """Return a validator that takes what the pattern matches as a whole, and says what is expected otherwise."""

    def check(value: str) -> str:
        if not (remembering(value) if remembering and len(value) < USUAL else pattern.fullmatch(value)):
            raise ValueError(f"{value!r:.60} is not {meaning}")
        return value

    return check


def _timestamp(value: str) -> str:
    """Check as RFC 3339 within ISO 8601 (Data 4.5), where a date without a time passes, as in Learning Locker."""
    if len(value) > 10 and value.endswith(("-00", "-0000", "-00:00")):
        raise ValueError(f"{value!r:.60}: a zone of -00:00 says that the zone is unknown")
    if " " in value:
        raise ValueError(f"{value!r:.60} has a space where ISO 8601 has a T")
    parse_timestamp(value)
    return value


def _duration(value: str) -> str:
    if not (_DURATION.fullmatch(value) and _DURATION_NUMBERS.fullmatch(value)):
        raise ValueError(f"{value!r:.60} is not an ISO 8601 duration such as PT1H30M")
    return value


Iri = Annotated[
    str, AfterValidator(_matching(_IRI, "an absolute IRI", is_iri)), Field(json_schema_extra={"format": "iri"})
]
LanguageTag = Annotated[str, AfterValidator(_matching(_LANGUAGE, "an RFC 5646 language tag", is_language_tag))]
LanguageMap = dict[LanguageTag, str]
TimestampText = Annotated[str, AfterValidator(_timestamp), Field(json_schema_extra={"pattern": "^[0-9]{4}-[0-9]{2}-"})]
DurationText = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"format": "duration"})]
Uuid = Annotated[str, AfterValidator(_matching(_UUID, "a UUID")), Field(json_schema_extra={"format": "uuid"})]
Mbox = Annotated[
    str, AfterValidator(_matching(_MBOX, "a mailto IRI")), Field(json_schema_extra={"pattern": "^mailto:[^@]+@[^@]+$"})
]
Sha1 = Annotated[
    str, AfterValidator(_matching(_SHA1, "40 hex digits")), Field(json_schema_extra={"pattern": "^[0-9a-fA-F]{40}$"})
]
Sha2 = Annotated[
    str,
    AfterValidator(_matching(_SHA2, "a SHA-2 hash: 56, 64, 96 or 128 hex digits")),
    Field(json_schema_extra={"pattern": "^[0-9a-fA-F]{56,128}$"}),
]
MediaType = Annotated[str, AfterValidator(_matching(_MEDIA_TYPE, "an Internet media type"))]
Version = Annotated[
    str,
    AfterValidator(_matching(_VERSION, "a version of xAPI: 1.0, 1.0.x, 2.0 or 2.0.x")),
    Field(json_schema_extra={"pattern": r"^[12]\.0(\.[0-9]+)?$"}),
]
Extensions = dict[Iri, object]
"""Any JSON under IRIs; the one place where nulls are allowed (Data 4.1)."""
