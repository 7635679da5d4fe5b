"""Explanations as JSON, for the command and the HTTP side."""

from typing import Any

from processor.core.conditions import Finding
from processor.core.explain import Explanation
from schemas.rendering import rendered


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
    leaf = {"path": finding.path, "asked": finding.asked, "found": list(finding.found)}
    parts = {"clauses": list(map(_rendered_finding, finding.parts))}
    return {"operator": finding.operator, **(leaf if finding.path is not None else parts), "verdict": finding.verdict}
