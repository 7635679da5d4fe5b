"""The guarantees, each by its name, asked of a world at rest; and its likeness to the world without faults."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bson import ObjectId

from processor.core.completions import attempts_from, items_from
from processor.core.evidence import Item
from processor.testing.writes import Document
from tests.property.test_fold import naive_fold
from tests.simulation.ledger import PUBLIC, Violation, tells
from tests.simulation.onlooker import PROGRESS
from tests.simulation.scenario import Trait
from tests.simulation.world import World, unrest

LIKE = (Trait.STEADY, Trait.RESHAPED)
"""Journeys whose documents do not depend on when an edit met a statement."""


def judge(world: World, faultless: World | None = None) -> list[Violation]:
    """Return what is broken: what was seen while the world ran, or what it came to."""
    if world.violations:
        return world.violations
    for check in CHECKS:
        check(world)
    if faultless:
        alike(world, faultless)
    return world.violations


def i1_everything_committed_is_durable(world: World) -> None:
    for progress, waypoints in world.scenario.evidence().items():
        for waypoint, items in waypoints.items():
            if lost := world.ledger.not_appended(progress, waypoint, items):
                world.ledger.broken("I1", f"{len(lost)} items of {progress} were never appended")
    kept = world.servers.database.statements
    referred = {it for statement in world.scenario.statements for it in [statement.item.statement]}
    if strange := set(kept) - referred:
        world.ledger.broken("I1", f"statements were kept that nobody sent: {strange}")


def i2_evidence_is_a_set(world: World) -> None:
    for key, document in world.documents.items():
        for (waypoint, statement), times in _held(document).items():
            if times > 1:
                world.ledger.broken("I2", f"statement {statement} counts {times} times for {waypoint} in {key}")


def i3_the_dead_letters_are_the_poison(world: World) -> None:
    sent = {(*place, item) for place, message in world.onlooker.sent.items() for item in message.poison}
    found = world.onlooker.parked
    for place in sent - found:
        world.ledger.broken("I3", f"the poison at {place} is not in the dead letters")
    for place in found - sent:
        world.ledger.broken("I3", f"what was sent at {place} is fine, and in the dead letters")


def f1_completions_are_the_fold_of_the_evidence(world: World) -> None:
    expected, rules = world.scenario.evidence(), world.rules
    for key, document in world.documents.items():
        trait = world.scenario.traits[document["journey"]]
        if trait is Trait.RELEASED:
            continue  # what is sealed depends on when a version came
        evidence: Mapping[str, Any] = expected[key] if trait in LIKE else world.ledger.appended[key]
        items = [(waypoint, item) for waypoint, found in evidence.items() for item in found]
        folded = naive_fold(rules[document["journey"]], items)
        attempts = attempts_from(document["completions"])
        stands = [(it.counted, it.completed_at is not None) for it in attempts]
        if stands != folded:
            world.ledger.broken("F1", f"{key} ({trait}) has {_told(stands)}, its evidence amounts to {_told(folded)}")
        is_over = bool(folded) and folded[-1][1] and not rules[document["journey"]].is_repeatable
        if not is_over and (lost := {(waypoint, item.statement) for waypoint, item in items} - _held(document).keys()):
            world.ledger.broken("F1", f"{len(lost)} items of {key} ({trait}) are neither counted nor surplus")
    for key in expected.keys() - world.documents.keys():
        world.ledger.broken("I1", f"document {key} is missing")


def p3_nothing_waits(world: World) -> None:
    world.violations.extend(unrest(world))


def r1_every_change_is_published(world: World) -> None:
    revisions: dict[str, dict[int, set[bytes | None]]] = {}
    for record in world.servers.broker.records(PROGRESS):
        told = revisions.setdefault((record.key or b"").decode(), {})
        told.setdefault(int(dict(record.headers)["ce_sequence"]), set()).add(record.value)
    for key, document in world.documents.items():
        events, last = revisions.get(str(key), {}), document["processing"]["revision"]
        if events.keys() != set(range(1, last + 1)):
            world.ledger.broken("R1", f"{key} is at revision {last}, and published {sorted(events)}")
        elif any(len(data) > 1 for data in events.values()):
            world.ledger.broken("R1", f"a repeated event of {key} differs from the first")
        elif last and not all(tells(data, document) for data in events[last] if data):
            world.ledger.broken("R1", f"the last event of {key} does not tell its state")


CHECKS: tuple[Callable[[World], None], ...] = (
    i1_everything_committed_is_durable,
    i2_evidence_is_a_set,
    i3_the_dead_letters_are_the_poison,
    p3_nothing_waits,
    f1_completions_are_the_fold_of_the_evidence,
    r1_every_change_is_published,
)
"""P1, P2 and R2 (and the rest of these) are judged while the world runs: `ledger.py`, `world.py`."""


def alike(world: World, faultless: World) -> None:
    """Hold a world to the one that had the same seed and no faults."""
    ours, theirs = _picture(world), _picture(faultless)
    for name in theirs:
        if ours[name] != theirs[name]:
            world.ledger.broken("world", f"{name} differ from the run without faults")


def _picture(world: World) -> dict[str, Any]:
    documents = {
        key: {name: document.get(name) for name in PUBLIC} | {"surplus": document["processing"].get("surplus")}
        for key, document in world.documents.items()
        if world.scenario.traits[document["journey"]] in LIKE
    }
    return {
        "documents": documents,
        "dead letters": sorted(str(world.onlooker.sent[place[:2]].value) for place in world.onlooker.parked),
        "kept statements": set(world.servers.database.statements),
    }


def _held(document: Document) -> Counter[tuple[str, ObjectId]]:
    """Count how often each (waypoint, statement) stands in completions and surplus."""
    held = Counter(
        (waypoint, item.statement)
        for attempt in attempts_from(document["completions"])
        for waypoint, items in attempt.counted.items()
        for item in items
    )
    for waypoint, statements in document["processing"].get("surplus", {}).items():
        held.update((waypoint, item.statement) for item in items_from(statements))
    return held


def _told(attempts: list[tuple[dict[str, list[Item]], bool]]) -> str:
    def short(statement: ObjectId) -> str:
        return str(statement)[:4]

    return " then ".join(
        f"{'complete' if is_complete else 'open'} "
        f"{ {key[-3:]: [short(item.statement) for item in items] for key, items in counted.items()} }"
        for counted, is_complete in attempts
    )
