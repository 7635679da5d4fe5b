"""A document as a promoter claims it, and what becomes of it; evidence by the short names of `folding`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from processor.core.completions import items_to
from processor.core.evidence import Promotion
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.testing.writes import apply_promotion
from tests.builders import JOURNEY, ORGANISATION, a_reference, at
from tests.unit.core.folding import items

NOW = at(1_000_000)
POLICY = FoldingPolicy(lateness_horizon=timedelta(days=365))


class Progress:
    """One progress document between its promotions."""

    def __init__(self, policy: FoldingPolicy = POLICY, **processing: Any) -> None:
        self.policy = policy
        self.document: dict[str, Any] = {
            "_id": a_reference(1),
            "journey": JOURNEY,
            "organisation": ORGANISATION,
            "owner": {"trackBy": "actor", "ident": {"mbox": "mailto:ana@example.org"}},
            "createdAt": at(0),
            "updatedAt": at(0),
            "isCompleted": False,
            "completions": [],
            "pendingProgress": {},
            "processing": {"revision": 0, **processing},
        }

    def append(self, **numbers: Sequence[int]) -> None:
        """Append statements as pending evidence: `append(a=[1, 2])`."""
        for waypoint, evidence in items(**numbers).items():
            entry = self.document["pendingProgress"].setdefault(waypoint, {"statements": []})
            entry["statements"] += items_to(evidence)

    def promote(self, rules: JourneyRules | None, **numbers: Sequence[int]) -> Promotion:
        """Append, promote, and write what was decided."""
        self.append(**numbers)
        promotion = promote(self.document, rules, self.policy, NOW)
        apply_promotion(self.document, promotion, NOW)
        return promotion

    @property
    def processing(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["processing"]
        return found

    @property
    def completed(self) -> list[bool]:
        """For each attempt whether it is complete."""
        return [attempt["isCompleted"] for attempt in self.document["completions"]]


def event_of(promotion: Promotion) -> dict[str, Any]:
    """The data of the promotion's event."""
    assert promotion.event is not None
    data: dict[str, Any] = orjson.loads(promotion.event.data)
    return data


def changes(promotion: Promotion) -> list[tuple[str, int, str | None]]:
    """The event's changes as (type, attempt, the waypoint's last digit)."""
    return [(it["type"], it["attempt"], it.get("waypoint", "")[-1:] or None) for it in event_of(promotion)["changes"]]
