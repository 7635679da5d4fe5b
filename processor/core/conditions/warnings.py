"""Conditions that compile but can never match: said by `journeys check`."""

from collections.abc import Iterator

from processor.core.conditions.compiled import Clause, Conditions
from processor.core.conditions.contradictions import contradictions

ROOTS = frozenset(
    {
        "_id",
        "active",
        "activities",
        "agents",
        "client",
        "client_id",
        "completedForwardingQueue",
        "completedQueues",
        "deadForwardingQueue",
        "failedForwardingLog",
        "hasGeneratedId",
        "hash",
        "lrs",
        "lrs_id",
        "metadata",
        "organisation",
        "pendingForwardingQueue",
        "person",
        "personaIdentifier",
        "priority",
        "processingQueues",
        "refs",
        "registrations",
        "relatedActivities",
        "relatedAgents",
        "statement",
        "stored",
        "timestamp",
        "verbs",
        "voided",
    }
)
"""What a statement document has at its top (learning-locker-behaviour.md, section 3.1)."""

STATEMENT = frozenset(
    {
        "actor",
        "attachments",
        "authority",
        "context",
        "id",
        "object",
        "result",
        "stored",
        "timestamp",
        "verb",
        "version",
    }
)
"""What a statement has at its top (xAPI 1.0.3, Data 2.2)."""


DATES = frozenset({"timestamp", "stored"})
"""Fields that hold dates, which are neither equal to strings nor ordered with them."""


def warnings_of(conditions: Conditions) -> list[str]:
    """Return a sentence for each reason why the conditions look as if they could never match."""
    return list(dict.fromkeys([*_of(conditions.clause), *contradictions(conditions.clause)]))


def _of(clause: Clause) -> Iterator[str]:
    if clause.path is not None:
        yield from _of_path(clause.path)
        yield from _of_asked(clause.path, clause)
    for part in clause.parts:
        yield from _of(part)


def _of_path(path: str) -> Iterator[str]:
    root, _, rest = path.partition(".")
    second = rest.partition(".")[0]
    if root not in ROOTS:
        yield f"{path}: a statement document has no `{root}`; perhaps `statement.{path}`"
    elif root == "statement" and second and second not in STATEMENT:
        yield f"{path}: a statement has no `{second}`"


def _of_asked(path: str, clause: Clause) -> Iterator[str]:
    asked = clause.asked
    if clause.operator in ("$in", "$all") and asked == []:
        yield f"{path}: an empty {clause.operator} matches nothing"
    if path in DATES and clause.operator == "$regex":
        yield f"{path}: a date matches no regular expression"
    elif path in DATES and any(isinstance(value, str) for value in (asked if isinstance(asked, list) else [asked])):
        yield f'{path}: a date is never a string; write {{"$dte": "…"}}, or ask for statement.{path}'
    if path == "voided" and clause.operator == "$eq" and asked is True:
        yield f"{path}: a voided statement never counts"
