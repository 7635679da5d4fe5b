"""Dead letters: the headers that say why, how they are read again, and which ones are meant (semantics.md, section 1).

A letter is the original record with our headers after its own. A record that is too large for a letter leaves only
its whereabouts and the digest of its value: the record itself lies in the statements topic for as long as that keeps
it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from processor.core.records import Reason, Record, Rejected
from schemas.ids import format_timestamp, parse_timestamp

HEADER = "dead-letter-"
FIRST = HEADER + "reason"
OMITTED = HEADER + "omitted"
MESSAGE_LENGTH = 1_000

ITEMS = 10
"""Bad items of one record that leave a letter each: every letter has the whole record."""

Header = tuple[str, bytes]

_STRETCH = re.compile(
    r"(?P<topic>[a-zA-Z0-9._-]+)-(?P<partition>[0-9]+)(?:@(?P<first>[0-9]+)(?:\.\.(?P<last>[0-9]+))?)?"
)


class Place(NamedTuple):
    """Where a record lies; written `topic-partition@offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


def condensed(rejected: Sequence[Rejected]) -> list[Rejected]:
    """Return the same; but of a record with more than `ITEMS` bad items one for each reason, telling how many.

    Each becomes a letter with the whole record: one array of a megabyte could become a terabyte, and block its
    partition (I3).
    """
    if len(rejected) <= ITEMS:
        return list(rejected)
    alike: dict[tuple[str, int, int], dict[Reason, list[Rejected]]] = {}
    for it in rejected:
        place = it.record.topic, it.record.partition, it.record.offset
        alike.setdefault(place, {}).setdefault(it.reason, []).append(it)
    return [entry for reasons in alike.values() for entry in _condensed(list(reasons.values()))]


def _condensed(alike: Sequence[Sequence[Rejected]]) -> list[Rejected]:
    """Take what one record holds, by reason."""
    if sum(map(len, alike)) <= ITEMS:
        return [entry for entries in alike for entry in entries]
    return [
        entries[0]
        if len(entries) == 1
        else replace(entries[0], message=f"{len(entries)} items, the first: {entries[0].message}")
        for entries in alike
    ]


def explanation(rejected: Rejected) -> list[Header]:
    """Return the headers that say why and whence; the parking adds the time. The reason comes first: see `letter_of`.

    `timestamp` is the record's own: a statement without a time of its own takes it, after a replay too (F1).
    """
    record = rejected.record
    why = {
        "reason": str(rejected.reason),
        "message": rejected.message[:MESSAGE_LENGTH],
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        **({"item": str(rejected.item)} if rejected.item is not None else {}),
    }
    return [(HEADER + name, text.encode("utf-8", "replace")) for name, text in why.items()]


def time_header(now: datetime) -> Header:
    """Return the header that says when a record was parked."""
    return HEADER + "time", format_timestamp(now).encode()


def omission(record: Record) -> Header:
    """Return the header of a letter that leaves its record out, as the broker takes none so large."""
    return OMITTED, digest(record.value).encode()


def digest(value: bytes | None) -> str:
    """Return what tells one value from another: its SHA-256, in hex."""
    return sha256(value or b"").hexdigest()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked record: the original's value, key and headers, and why it was parked.

    `place` is where the letter lies, `origin` where the record lay: None for a message that is no letter of ours.
    With `omitted`, the digest of the value, the original was too large and has to be read from its origin.
    """

    place: Place
    value: bytes | None
    key: bytes | None
    headers: tuple[Header, ...]
    reason: str = ""
    message: str = ""
    origin: Place | None = None
    item: int | None = None
    time: datetime | None = None
    timestamp: int | None = None
    omitted: str | None = None

    @property
    def identity(self) -> bytes:
        """What the letters of one record share, and those of another do not: not even in a topic made anew."""
        value = self.omitted or digest(self.value)
        return sha256(f"{self.origin} {value}".encode()).digest()[:16]

    @property
    def likeness(self) -> bytes:
        """What the letters of equal records share, wherever they lay: one that was replayed and parked again is one."""
        if self.omitted:
            return self.identity
        return sha256(repr((self.value, self.key, self.headers, self.timestamp)).encode()).digest()[:16]


def letter_of(record: Record) -> DeadLetter:
    """Read a record of the dead-letter topic; whatever else lies there becomes a letter without an origin.

    Ours begin with the last `dead-letter-reason`: what stands before it is the original's, even if it was a letter.
    """
    place = Place(record.topic, record.partition, record.offset)
    names = [name for name, _ in record.headers]
    if FIRST not in names:
        return DeadLetter(place, record.value, record.key, record.headers)
    own = len(names) - 1 - names[::-1].index(FIRST)
    why = {name.removeprefix(HEADER): value.decode("utf-8", "replace") for name, value in record.headers[own:]}
    partition, offset = _number(why.get("partition")), _number(why.get("offset"))
    whence = None if partition is None or offset is None else Place(why.get("topic", ""), partition, offset)
    return DeadLetter(
        place,
        record.value,
        record.key,
        record.headers[:own],
        reason=why["reason"],
        message=why.get("message", ""),
        origin=whence,
        item=_number(why.get("item")),
        time=_instant(why.get("time")),
        timestamp=_number(why.get("timestamp")),
        omitted=why.get("omitted"),
    )


class Stretch(NamedTuple):
    """Records of one partition, both ends included."""

    topic: str
    partition: int
    first: int
    last: int | None

    def holds(self, place: Place) -> bool:
        """Tell whether a record lies in it."""
        return (
            (self.topic, self.partition) == (place.topic, place.partition)
            and self.first <= place.offset
            and (self.last is None or place.offset <= self.last)
        )


def parse_stretch(text: str) -> Stretch:
    """Read `topic-partition`, `topic-partition@offset` or `topic-partition@first..last`. Raises ValueError."""
    shape = _STRETCH.fullmatch(text)
    if not shape:
        raise ValueError(f"{text!r} is not a record: write TOPIC-PARTITION, with @OFFSET or @FIRST..LAST")
    partition = int(shape["partition"])
    if shape["first"] is None:
        return Stretch(shape["topic"], partition, 0, None)
    first = int(shape["first"])
    return Stretch(shape["topic"], partition, first, int(shape["last"]) if shape["last"] else first)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those with one of the reasons, parked in the time, of one of the records."""

    reasons: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None
    until: datetime | None = None
    records: Sequence[Stretch] = ()

    def takes(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is meant; what is not said chooses nothing."""
        if letter.origin is None:
            return self == Selection()
        time = letter.time
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or (time is not None and self.since <= time))
            and (self.until is None or (time is not None and time < self.until))
            and (not self.records or any(stretch.holds(letter.origin) for stretch in self.records))
        )


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _instant(text: str | None) -> datetime | None:
    try:
        return parse_timestamp(text)
    except ValueError:
        return None
