"""What a relay has published of the outboxes that were handed to it, and what of a document's outbox is no more.

An outbox that a loop hands to the relay of its process, in the very write that fills it, carries that relay and a
number. To take each event out of its document again, once it is published, would be another update of each, and dearer
than the one that wrote it. So the relay keeps one account: which of its numbers are published. What stands in an outbox
under such a number is not there any more, for everybody, and the next event takes its place. R1: what is not told to be
published, is published: by its relay, or by any when that has left it, or its lease has run out. R2: what comes to an
outbox that a relay has in hand waits until it is published.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bson import ObjectId
from msgspec import Struct

from processor.core.evidence import ProgressEvent

HANDY = 65_536
"""Bytes of an event that may stay in its document after it is published; a larger one is left to be found by a mark."""


class Handed(NamedTuple):
    """The mark `processing.handed`: which relay has the outbox, as which of its numbers, and up to which revision."""

    relay: ObjectId
    number: int
    revision: int


class Account(Struct, frozen=True):
    """What becomes of a relay's numbers: all up to `last` are published, but for those that are `open` or `left`.

    `open`: who fills outboxes under it, or the relay, is still at it. `left`: whether something stands under it is not
    known, or it was not published; whoever looks for what waits is to publish it. So is what is open, or beyond
    `last`, once the lease of the relay has run out.
    """

    relay: ObjectId
    last: int = 0
    open: frozenset[int] = frozenset()
    left: frozenset[int] = frozenset()

    def is_published(self, number: int) -> bool:
        """Tell whether all that was handed over under a number is published; so it is where nothing was."""
        return number <= self.last and number not in self.open and number not in self.left


def is_handy(event: ProgressEvent) -> bool:
    """Tell whether an event may be handed over."""
    return len(event.data) <= HANDY


def handed_of(document: Mapping[str, Any]) -> Handed | None:
    """Return who has the first event of the outbox; None when nobody was handed it, or the mark was edited by hand."""
    processing = document.get("processing")
    mark = processing.get("handed") if isinstance(processing, dict) else None
    if not isinstance(mark, dict):
        return None
    relay, number, revision = mark.get("relay"), mark.get("number"), mark.get("revision")
    if isinstance(relay, ObjectId) and isinstance(number, int) and isinstance(revision, int):
        return Handed(relay, number, revision)
    return None


def without_published(document: Mapping[str, Any], handed: Handed) -> dict[str, Any]:
    """Return a document as it stands when what was handed over is published: without it, and without its mark.

    An outbox that was edited by hand stays as it is.
    """
    processing = {name: value for name, value in document["processing"].items() if name != "handed"}
    try:
        processing["outbox"] = [it for it in processing.get("outbox", ()) if _revision(it) > handed.revision]
    except (AttributeError, KeyError, TypeError):
        return dict(document)
    return {**document, "processing": processing}


def _revision(entry: Any) -> Any:
    return entry["revision"] if isinstance(entry, dict) else entry.revision
