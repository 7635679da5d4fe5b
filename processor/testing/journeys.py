"""Journeys in memory, for the simulation."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from processor.testing.database import MemoryDatabase
from processor.testing.faults import Faults, effect, no_faults


class MemoryJourneyCatalog:
    """One process's view of the journeys: `ports.JourneyCatalog`."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults) -> None:
        self._database = database
        self._faults = faults
        self._heard: int | None = None

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document. What changes from the first call on is heard by `changed`."""
        if self._heard is None:
            self._heard = self._database.journey_changes
        async with effect(self._faults, "journeys.load"):
            return deepcopy(list(self._database.journeys.values()))

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace by `_id`."""
        for journey in journeys:
            self._database.journeys[journey["_id"]] = deepcopy(journey)
        self._database.journey_changes += 1

    async def changed(self) -> bool:
        """Tell at once whether the journeys have changed; it tells a change once."""
        heard, self._heard = self._heard, self._database.journey_changes
        return heard != self._heard
