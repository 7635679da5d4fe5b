"""What a recalculation asks of a progress document, and what of its evidence that leaves standing.

Asked is, in `processing.replay`, a list of entries `{key, version, retract?}`, one for each chunk of statements read
again that concerned the document. A retraction takes its statements out of `pendingProgress` at once; the counted and
kept ones go at the next fold. So what is pending then was found after the retraction, and counts: of two decisions
about a statement the later one holds, in whatever order the document is promoted, and none has to wait for another.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from processor.core.evidence import Retraction
from processor.core.fold import Evidence

Entry = Mapping[str, Any]


def replay_entry(key: str, version: int) -> dict[str, Any]:
    """Write the entry of a chunk that found evidence; it tells the promoter that this is a replay."""
    return {"key": key, "version": version}


def retraction_entry(retraction: Retraction) -> dict[str, Any]:
    """Write the entry of a chunk that takes evidence back."""
    retract = {waypoint: list(statements) for waypoint, statements in retraction.statements.items()}
    return {**replay_entry(retraction.replay, retraction.version), "retract": retract}


def retractions_in(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return those entries that take evidence back."""
    return tuple(entry for entry in entries if entry.get("retract"))


def evidence_left(entries: Sequence[Entry], version: int) -> Callable[[Evidence], Evidence]:
    """Return what leaves the retracted items out of evidence.

    A retraction decided under another version than the one that is folded under takes nothing back: nobody has asked
    yet whether the current conditions match.
    """
    if not entries:
        return _all
    retracted: dict[str, set[ObjectId]] = defaultdict(set)
    for entry in entries:
        if entry["version"] == version:
            for waypoint, statements in entry.get("retract", {}).items():
                retracted[waypoint].update(statements)

    def left(evidence: Evidence) -> Evidence:
        return {
            waypoint: [item for item in items if item.statement not in retracted.get(waypoint, ())]
            for waypoint, items in evidence.items()
        }

    return left if retracted else _all


def _all(evidence: Evidence) -> Evidence:
    return evidence
