"""Conditions that compile but can never match: said by `journeys check`."""

from collections.abc import Iterator

from processor.core.conditions.compiled import Clause, Conditions

ROOTS = frozenset(
    {
        "_id",
        "active",
        "activities",
        "agents",
        "client",
        "client_id",
        "hasGeneratedId",
        "hash",
        "lrs",
        "lrs_id",
        "metadata",
        "organisation",
        "person",
        "personaIdentifier",
        "priority",
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


def warnings_of(conditions: Conditions) -> list[str]:
    """Return a sentence for each reason why the conditions look as if they could never match."""
    return list(dict.fromkeys([*_of(conditions.clause), *_contradictions(conditions)]))


def _of(clause: Clause) -> Iterator[str]:
    if clause.path is not None:
        root, _, rest = clause.path.partition(".")
        second = rest.partition(".")[0]
        if root not in ROOTS:
            yield f"{clause.path}: a statement document has no `{root}`; perhaps `statement.{clause.path}`"
        elif root == "statement" and second and second not in STATEMENT:
            yield f"{clause.path}: a statement has no `{second}`"
        if clause.operator in ("$in", "$all") and clause.asked == []:
            yield f"{clause.path}: an empty {clause.operator} matches nothing"
    for part in clause.parts:
        yield from _of(part)


def _contradictions(conditions: Conditions) -> Iterator[str]:
    """Two equalities that cannot both hold, at a path where statements have no array."""
    seen: dict[str, frozenset[object]] = {}
    for path, values in conditions.required:
        if path in SINGLE and path in seen and not seen[path] & values:
            yield f"{path}: asked to equal two different values at once"
        seen[path] = seen.get(path, values) & values


SINGLE = frozenset(
    {
        "_id",
        "lrs_id",
        "organisation",
        "statement.actor.account.name",
        "statement.actor.mbox",
        "statement.id",
        "statement.object.id",
        "statement.object.definition.type",
        "statement.result.completion",
        "statement.result.success",
        "statement.verb.id",
    }
)
