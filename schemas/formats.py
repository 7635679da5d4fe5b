"""The string formats of xAPI as annotated types (xAPI 1.0.3, Data, sections 2.2.1, 2.4 and 4)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.ids import parse_timestamp

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`]+")
_LANGUAGE = re.compile(  # RFC 5646, without the grandfathered irregular tags
    r"""(?ix) (?: [a-z]{2,3} (?:-[a-z]{3}){0,3} | [a-z]{4} | [a-z]{5,8} )
    (?:-[a-z]{4})? (?:-(?:[a-z]{2}|[0-9]{3}))? (?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*
    (?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)* (?:-x(?:-[a-z0-9]{1,8})+)? | x(?:-[a-z0-9]{1,8})+ | i-[a-z0-9-]{2,15}"""
)
_DURATION = re.compile(  # ISO 8601:2004, section 4.4.3.2; only the last number may have a fraction
    r"P(?:\d+(?:[.,]\d+)?W|(?=[\dT])(?:\d+(?:[.,]\d+)?Y)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?D)?"
    r"(?:T(?=\d)(?:\d+(?:[.,]\d+)?H)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?S)?)?)"
)


def _iri(value: str) -> str:
    if not _IRI.fullmatch(value):
        raise ValueError("not an absolute IRI")
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError("not an RFC 5646 language tag")
    return value


def _timestamp(value: str) -> str:
    if value.endswith(("-00", "-0000", "-00:00")):
        raise ValueError("a zone of -00:00 says that the zone is unknown")
    parse_timestamp(value)
    return value


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value):
        raise ValueError("not an ISO 8601 duration")
    return value


Iri = Annotated[str, AfterValidator(_iri), Field(json_schema_extra={"format": "iri"})]
LanguageTag = Annotated[str, AfterValidator(_language)]
LanguageMap = dict[LanguageTag, str]
TimestampText = Annotated[str, AfterValidator(_timestamp), Field(json_schema_extra={"format": "date-time"})]
DurationText = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"format": "duration"})]
Uuid = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$")
]
Mbox = Annotated[str, Field(pattern=r"^mailto:[^\s@]+@[^\s@]+\.[^\s@.]+$")]
Sha1 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{40}$")]
Sha2 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{56,128}$")]
MediaType = Annotated[str, Field(pattern=r"^[\w!#$&^.+\-]+/[\w!#$&^.+\-]+(\s*;.*)?$")]
Version = Annotated[str, Field(pattern=r"^(1\.0(\.\d+)?|2\.0(\.\d+)?)$")]
Extensions = dict[Iri, object]
"""Any JSON under IRIs; the one place where nulls are allowed (xAPI 1.0.3, Data 4.1)."""
