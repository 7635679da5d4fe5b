"""Evidence by short names: waypoints a, b, c; statement n happened at second n."""

from collections.abc import Mapping, Sequence

from processor.core.evidence import Item
from processor.core.fold import Attempt, Fold, fold
from processor.core.journey import JourneyRules
from tests.builders import WAYPOINTS, an_item

A, B, C = WAYPOINTS[:3]
NAMES = {"a": A, "b": B, "c": C}


def items(**numbers: Sequence[int]) -> dict[str, list[Item]]:
    """`items(a=[1, 2])`: statements 1 and 2 as evidence of waypoint a."""
    return {NAMES[name]: [an_item(number) for number in found] for name, found in numbers.items()}


def folded(rules: JourneyRules, **numbers: Sequence[int]) -> Fold:
    return fold(rules, [items(**numbers)])


def counted(attempt: Attempt) -> dict[str, list[int]]:
    """What an attempt counts, by the same names and numbers."""
    return _named(attempt.counted)


def surplus(found: Fold) -> dict[str, list[int]]:
    return _named(found.surplus)


def _named(evidence: Mapping[str, Sequence[Item]]) -> dict[str, list[int]]:
    names = {waypoint: name for name, waypoint in NAMES.items()}
    return {names[key]: [int(str(item.statement), 16) for item in found] for key, found in sorted(evidence.items())}
