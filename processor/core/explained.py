"""Explanations as JSON, for the command and the HTTP side."""

from itertools import islice
from typing import Any, Final

from processor.core.conditions import Finding
from processor.core.explain import Explanation
from schemas.rendering import rendered

PARTS: Final = 10
TEXT: Final = 200
LEVELS: Final = 3
"""What is shown at most of a value that was found: many clauses may have found the same large one."""


def render_explanation(explanation: Explanation) -> dict[str, Any]:
    """Write an explanation for JSON: ids as hex, dates ISO 8601."""
    rules, record = explanation.rules, explanation.record
    plain: dict[str, Any] = rendered(
        {
            "journey": rules.id,
            "description": rules.description,
            "version": rules.version,
            "statement": record.reference,
            "timestamp": record.timestamp,
            "fault": explanation.fault,
            "waypoints": [
                {
                    "waypoint": it.waypoint.id,
                    "order": it.waypoint.order,
                    "count": it.waypoint.count,
                    "matches": it.is_match,
                    "isEvidence": not it.obstacles,
                    "obstacles": list(it.obstacles),
                    "clauses": list(map(_rendered_finding, it.findings)),
                    "progress": [
                        {
                            "progress": standing.progress,
                            "isNew": standing.is_new,
                            "place": standing.place,
                            "outcome": standing.outcome,
                            "attempt": standing.attempt,
                        }
                        for standing in it.standings
                    ],
                }
                for it in explanation.waypoints
            ],
        }
    )
    return plain


def _rendered_finding(finding: Finding) -> dict[str, Any]:
    leaf = {"path": finding.path, "asked": finding.asked, "found": list(map(_shown, finding.found))}
    parts = {"clauses": list(map(_rendered_finding, finding.parts))}
    return {"operator": finding.operator, **(leaf if finding.path is not None else parts), "verdict": finding.verdict}


def _shown(value: Any, level: int = 0) -> Any:
    """Shorten a value, saying so in it."""
    if isinstance(value, str):
        return value if len(value) <= TEXT else f"{value[:TEXT]}…"
    if not value or not isinstance(value, dict | list):
        return value
    if level == LEVELS:
        return "…"
    left = len(value) - PARTS
    if isinstance(value, list):
        return [_shown(it, level + 1) for it in value[:PARTS]] + ([f"… and {left} more"] if left > 0 else [])
    parts = {_shown(key): _shown(it, level + 1) for key, it in islice(value.items(), PARTS)}
    return parts | ({"…": f"and {left} more"} if left > 0 else {})
