"""In passing or by a promoter: the same evidence makes the same document (F1)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.core.evidence import Append
from processor.core.policy import FoldingPolicy
from processor.ports.progress import Evidence
from processor.services.beginnings import Beginnings
from processor.services.continuations import Continuations
from processor.services.handover import Handover
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing
from tests.builders import JOURNEY, WAYPOINTS, a_journey, an_append, an_item
from tests.unit.services.world import World

POLICY = FoldingPolicy(document_bytes=600, pending_limit=3, surplus_limit=2)
"""Small: attempts leave their documents, pending items take turns, surplus is cut."""

APPENDS = st.lists(
    st.builds(
        lambda waypoint, numbers: an_append(*map(an_item, numbers), waypoint=WAYPOINTS[waypoint]),
        st.integers(0, 2),
        st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True),
    ),
    max_size=12,
)


@given(
    counts=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    is_sequential=st.booleans(),
    is_repeatable=st.booleans(),
    appends=APPENDS,
)
def test_f1_in_passing_is_as_by_a_promoter(
    counts: tuple[int, int], is_sequential: bool, is_repeatable: bool, appends: list[Append]
) -> None:
    waypoints = [
        {"_id": WAYPOINTS[number], "isActive": True, "count": count, "order": number, "conditions": {"x": number}}
        for number, count in enumerate(counts)
    ]
    journey = a_journey(
        _id=JOURNEY, isActive=True, isSequential=is_sequential, isRepeatable=is_repeatable, waypoints=waypoints
    )
    passing, usual = [asyncio.run(grown(journey, appends, in_passing=it)) for it in (True, False)]
    assert passing == usual


async def grown(journey: dict[str, Any], appends: Sequence[Append], *, in_passing: bool) -> list[dict[str, Any]]:
    """Add the evidence, one append after the other, each folded before the next; return what the documents tell."""
    world = World(journey)
    await world.journeys.refresh()
    promoting = Promoting(world.store, world.journeys, POLICY, world.around, Leasing(), Handover(Leasing()))
    evidence: Evidence = Beginnings(promoting, rest=Continuations(promoting)) if in_passing else world.store
    for append in appends:
        world.clock.advance(1)
        await evidence.append([append], [], world.clock.now())
        while await Promoter(promoting).step():
            pass
    return [told(world, document) for document in world.documents]


def told(world: World, document: dict[str, Any]) -> dict[str, Any]:
    """Everything but the locks, the instants of writing, and how the attempts are spread over segments."""
    processing = document["processing"]
    kept = {key: processing.get(key) for key in ("surplus", "sealed", "newest", "folded", "version", "cut")}
    public = {key: value for key, value in world.database.whole(document).items() if key not in NOT_COMPARED}
    return {**public, **kept}


NOT_COMPARED = ("processing", "lockKey", "updatedAt", "createdAt", "pendingProgress")
