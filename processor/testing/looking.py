"""Progress documents in memory, for people: what waits, who holds what, and the documents."""

from collections.abc import AsyncIterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.relaying import handed_of
from processor.ports.progress import Backlog, Lock
from processor.testing.database import View
from processor.testing.writes import is_expired, lock_of


class MemoryReader(View):
    """`ports.ProgressReader`, and what the metrics ask for."""

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""
        documents = list(self._database.progresses.values())
        marks = [document["processing"] for document in documents]
        return Backlog(
            documents=len(documents),
            due=sum("due" in it for it in marks),
            claimed=sum("lease" in it for it in marks),
            expired=sum(is_expired(it, "lease", now) for it in documents),
            waiting=sum(bool(it.get("waiting")) for it in marks),
            outbox=sum(
                "publish" in it or "relayLease" in it or self._database.is_to_come(document)
                for it, document in zip(marks, documents, strict=True)
            ),
            oldest_due=min((it["due"] for it in marks if "due" in it), default=None),
            oldest_outbox=min(
                [
                    *(it["publish"] for it in marks if "publish" in it),
                    *(it["processing"]["outbox"][0].time for it in documents if self._database.is_to_come(it)),
                ],
                default=None,
            ),
            oldest_lease=min((it["lease"] for it in marks if "lease" in it), default=None),
        )

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return who holds what; see `ports.ProgressStore.locks`."""
        locks = []
        for progress, document in self._database.progresses.items():
            it = document["processing"]
            if "lease" in it:
                locks.append(lock_of(progress, "promote", document["lockKey"], it["lease"], it["holder"]))
            if "relayLease" in it:
                locks.append(lock_of(progress, "relay", it["relayKey"], it["relayLease"], it["relayHolder"]))
            if (handed := handed_of(document)) and self._database.is_to_come(document):
                relay = self._database.relays[handed.relay]
                holder, key = {"worker": relay.worker, "since": relay.since}, f"{handed.relay}/{handed.number}"
                locks.append(lock_of(progress, "relay", key, relay.until or relay.since, holder))
        return sorted(locks, key=lambda lock: lock.until)[:limit]

    async def find(
        self,
        *,
        organisation: ObjectId | None = None,
        journey: ObjectId | None = None,
        identity: ObjectId | None = None,
        limit: int = 20,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield documents, last updated first; see `ports.ProgressReader.find`."""
        wanted = {"organisation": organisation, "journey": journey, "_id": identity}
        documents = sorted(self._database.progresses.values(), key=lambda it: it["updatedAt"], reverse=True)
        found = [it for it in documents if all(value in (None, it[key]) for key, value in wanted.items())]
        for document in found[:limit]:
            yield deepcopy(self._database.whole(document))
