"""What the demo shows: journeys and learners filling up, and the events as a subscriber sees them."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.journey import Journey

SHOWN = 12


class View:
    """Collects what happens; `render` draws it for a terminal, `line` says it in one line for a pipe."""

    def __init__(self, journeys: Sequence[Journey], learners: int, statements: int) -> None:
        self.journeys = journeys
        self.learners = learners
        self.statements = statements
        self.published = 0
        self.documents: Sequence[Mapping[str, Any]] = ()
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._count = 0
        self._began = time.monotonic()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event: `{id, subject, sequence, data}`."""
        changes = [str(change["type"]) for change in event["data"]["changes"]]
        self._events[event["subject"]].append({"id": event["id"], "changes": changes})
        self._count += 1

    def events_of(self, progress: str) -> list[dict[str, Any]]:
        """Return a document's events as they came."""
        return self._events[progress]

    def is_complete(self) -> bool:
        """Whether all was published, promoted, and seen as events."""
        if self.published < self.statements or not self.documents:
            return False
        revisions = 0
        for document in self.documents:
            processing = document["processing"]
            if any(p["statements"] for p in document["pendingProgress"].values()):
                return False
            revisions += processing["revision"]
        return self._count >= revisions

    def line(self) -> str:
        """Return one line of figures."""
        parts = [
            f"{journey.description}: {self._completed(journey)}/{self.learners} completed" for journey in self.journeys
        ]
        return (
            f"{self.published}/{self.statements} statements, {self._count} events ({self._rate():.0f}/s); "
            + ", ".join(parts)
        )

    def render(self) -> RenderableType:
        """Draw the journeys with their waypoints, and the learners."""
        head = Text(
            f"{self.published}/{self.statements} statements published · {self._count} progress-updated events"
            f" · {self._rate():.0f} events/s",
            style="bold",
        )
        return Group(head, *(self._journey(journey) for journey in self.journeys), self._learners())

    def _rate(self) -> float:
        return self._count / max(time.monotonic() - self._began, 0.001)

    def _of(self, journey: Journey) -> list[Mapping[str, Any]]:
        return [document for document in self.documents if document["journey"] == journey.id]

    def _completed(self, journey: Journey) -> int:
        return sum(document["isCompleted"] for document in self._of(journey))

    def _journey(self, journey: Journey) -> Table:
        table = Table(
            title=f"{journey.description}: {self._completed(journey)} completed", title_justify="left", expand=True
        )
        table.add_column("waypoint", width=24)
        table.add_column("learners who met it")
        table.add_column("", width=6, justify="right")
        for waypoint in journey.waypoints:
            met = sum(self._has_met(document, str(waypoint.id)) for document in self._of(journey))
            table.add_row(waypoint.description, ProgressBar(total=self.learners, completed=met), f"{met}")
        return table

    def _learners(self) -> Table:
        table = Table(title="The last learners to move", title_justify="left", expand=True)
        for column in ("learner", "journey", "waypoints", "attempts completed"):
            table.add_column(column)
        names = {journey.id: journey for journey in self.journeys}
        for document in self.documents[:SHOWN]:
            journey = names[document["journey"]]
            marks = "".join("●" if self._has_met(document, str(it.id)) else "○" for it in journey.waypoints)
            attempts = sum(attempt["isCompleted"] for attempt in document["completions"])
            table.add_row(document["owner"]["ident"]["name"], journey.description, marks, str(attempts))
        return table

    def _has_met(self, document: Mapping[str, Any], waypoint: str) -> bool:
        return any(
            attempt["waypoints"].get(waypoint, {}).get("isCompleted", False) for attempt in document["completions"]
        )
