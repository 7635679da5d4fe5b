"""What is durable in memory: it outlives the stores, as a database outlives its clients.

Durable effects announce themselves to `faults` (see `processor.testing.faults`), with names such as
`append.progress.before`. A bulk write is not one effect, and a claim is a search, an update of each document and a
read: a crash, and another process, can come in between.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId

from processor.core.relaying import Account, handed_of, without_published
from processor.core.spilling import whole
from processor.testing.faults import Faults, no_faults
from processor.testing.writes import Document


class RelayHeld(NamedTuple):
    """A relay's account; `until` is the end of its lease, None when nothing more is to come from it."""

    account: Account
    worker: str
    since: datetime
    until: datetime | None


class MemoryDatabase:
    """All collections."""

    def __init__(self) -> None:
        self.progresses: dict[ObjectId, Document] = {}
        self.attempts: dict[ObjectId, Sequence[Mapping[str, Any]]] = {}
        self.statements: dict[ObjectId, Mapping[str, Any]] = {}
        self.journeys: dict[ObjectId, Mapping[str, Any]] = {}
        self.journey_changes = 0
        self.relays: dict[ObjectId, RelayHeld] = {}

    def whole(self, document: Document) -> Document:
        """Return a progress document with the attempts that have left it. Raises KeyError for a missing segment."""
        return whole(document, self.attempts) if document["processing"].get("spilled") else document

    def is_published(self, document: Document) -> bool:
        """Tell whether what was handed over of a document is published; True where nothing was."""
        handed = handed_of(document)
        held = self.relays.get(handed.relay) if handed else None
        return handed is None or (held is not None and held.account.is_published(handed.number))

    def without_published(self, document: Document) -> Document:
        """Return a document without what was handed over and is published."""
        handed = handed_of(document)
        return without_published(document, handed) if handed and self.is_published(document) else document

    def is_in_hands(self, document: Document) -> bool:
        """Tell whether a relay that is at work was handed the outbox."""
        handed = handed_of(document)
        held = self.relays.get(handed.relay) if handed else None
        return held is not None and held.until is not None

    def is_to_come(self, document: Document) -> bool:
        """Tell whether it has not published that yet."""
        return self.is_in_hands(document) and not self.is_published(document)


class View:
    """One process's view of a `MemoryDatabase`; `worker` is who it is in locks."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults, worker: str = "") -> None:
        self._database = database
        self._faults = faults
        self._worker = worker
        self._noted: Account | None = None

    def _without_published(self, document: Document) -> Document:
        handed, noted = handed_of(document), self._noted
        if handed and noted and handed.relay == noted.relay and noted.is_published(handed.number):
            return without_published(document, handed)
        return self._database.without_published(document)
