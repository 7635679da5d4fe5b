"""Journeys and statements to measure a cluster with: as many, and matching as often, as an operator says.

The statements have the shape of Learning Locker's documents, about as long and as deep as those of a video course.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from processor.core.identity import statement_reference

ORGANISATION = "59198183d8ea540933227033"
STORE = "59c1219936229d4ce9634601"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
VIDEO = "https://w3id.org/xapi/video"
COUNTED = "https://example.org/videos/counted"
LOAFERS = 1_000
"""Learners whose statements match nothing."""

VERBS = ("played", "paused", "seeked", "interacted", "initialized", "completed")


@dataclass(frozen=True, slots=True)
class Sample:
    """`match_rate` of the statements match, each of another learner; so many journeys are loaded."""

    match_rate: float = 0.05
    journeys: int = 100

    def journey_documents(self) -> list[Mapping[str, Any]]:
        """Return one journey that the matching statements go to, and others that nothing matches."""
        others = range(self.journeys - 1)
        waiting = [_journey(f"Course {number}", f"https://example.org/courses/{number}/video") for number in others]
        return [_journey("Counted", COUNTED), *waiting]

    def matched(self, number: int) -> int | None:
        """Return which of the matching ones a statement is, None for one that matches nothing."""
        before, after = int(number * self.match_rate), int((number + 1) * self.match_rate)
        return before if after > before else None

    def statement(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a statement; the learner's number is the key."""
        matched = self.matched(number)
        learner = str(number % LOAFERS if matched is None else LOAFERS + matched)
        time = (START + timedelta(milliseconds=10 * number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {
            "_id": str(statement_reference(f"sample-{number}")),
            "organisation": ORGANISATION,
            "lrs_id": STORE,
            "person": None,
            "voided": False,
            "timestamp": time,
            "stored": time,
            "statement": {
                "id": f"6690e6c9-3ef0-4ed3-8b37-{number:012x}",
                "timestamp": time,
                "actor": {"objectType": "Agent", "account": {"name": learner, "homePage": "https://example.org"}},
                **_about(number, COUNTED if matched is not None else f"https://example.org/videos/{number % 10}"),
            },
        }
        return learner.encode(), orjson.dumps(document)


def _journey(description: str, activity: str) -> Mapping[str, Any]:
    """Wait for the activity, and then for one that never comes."""
    conditions = ({"statement.object.id": activity}, {"statement.object.id": f"{activity}/exam"})
    return {
        "organisation": ORGANISATION,
        "description": description,
        "isActive": True,
        "waypoints": [{"conditions": it, "count": 1, "order": order} for order, it in enumerate(conditions)],
    }


def _about(number: int, activity: str) -> Mapping[str, Any]:
    verb, extensions = VERBS[number % len(VERBS)], f"{VIDEO}/extensions"
    course = {"id": "https://example.org/courses/1", "objectType": "Activity"}
    return {
        "verb": {"id": f"{VIDEO}/verbs/{verb}", "display": {"en-US": verb}},
        "object": {
            "objectType": "Activity",
            "id": activity,
            "definition": {"type": f"{VIDEO}/activity-type/video", "name": {"en-US": f"Lesson {number % 10}"}},
        },
        "context": {
            "extensions": {f"{extensions}/session-id": f"abb32c5b-ab8f-5f00-9718-{number:012x}"},
            "contextActivities": {"category": [{"id": VIDEO}], "parent": [course]},
        },
        "result": {
            "extensions": {
                f"{extensions}/time": number / 8,
                f"{extensions}/length": 263.24,
                f"{extensions}/progress": number % 100 / 100,
                f"{extensions}/played-segments": f"0[.]42.608[,]43.168[.]{number / 8}",
            }
        },
    }
