"""What a mould makes is what the fold would have made, to the letter (F1)."""

from datetime import UTC
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.beginning import Beginning, begin
from processor.core.evidence import Append, Item
from processor.core.identity import Identification, owner_again, progress_id
from processor.core.journey import compile_journey
from processor.core.mould import Moulds, mould_of
from processor.core.policy import FoldingPolicy
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_journey, a_reference

IDENTS = {
    "actor": st.one_of(
        st.builds(lambda text: {"name": text, "mbox": "mailto:ana@example.org"}, st.text(max_size=5)),
        st.builds(
            lambda text: {"account": {"name": f"a{text}", "homePage": "http://example.org"}}, st.text(max_size=5)
        ),
    ),
    "persona": st.builds(a_reference, st.integers(1, 9)),
}
POLICIES = st.sampled_from(
    [FoldingPolicy(), FoldingPolicy(surplus_limit=0), FoldingPolicy(duration_unit="milliseconds", document_bytes=1)]
)
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda it: it.replace(microsecond=it.microsecond // 1_000 * 1_000))
TRACKED = st.sampled_from(["actor", "persona"])


@st.composite
def several_items(draw: st.DrawFn, most: int = 5) -> tuple[Item, ...]:
    """Some items of one waypoint: most of them in order, some at the same time, or of the same statement."""
    times = draw(st.lists(TIMES, min_size=1, max_size=most))
    if draw(st.integers(0, 3)):
        times.sort()
    numbers = draw(st.permutations(range(most)))
    if not draw(st.integers(0, 3)):
        numbers = [number // 2 for number in numbers]
    return tuple(dict.fromkeys(Item(a_reference(number), time) for number, time in zip(numbers, times, strict=False)))


@st.composite
def journeys(draw: st.DrawFn) -> dict[str, Any]:
    """Journeys of one to three waypoints, some of them inactive."""
    waypoints = [
        {
            "_id": WAYPOINTS[number],
            "isActive": draw(st.booleans()),
            "count": draw(st.integers(1, 3)),
            "order": draw(st.integers(0, 2)),
            "conditions": {"x": number},
        }
        for number in range(draw(st.integers(1, 3)))
    ]
    return a_journey(
        _id=JOURNEY,
        organisation=ORGANISATION,
        isActive=True,
        isSequential=draw(st.booleans()),
        isRepeatable=draw(st.booleans()),
        trackBy=draw(TRACKED),
        waypoints=waypoints,
    )


@given(data=st.data(), journey=journeys(), policy=POLICIES)
def test_f1_a_mould_makes_what_the_fold_does(
    data: st.DataObject, journey: dict[str, Any], policy: FoldingPolicy
) -> None:
    """Several come out of the moulds before the first is looked at: they share nothing that differs."""
    rules = compile_journey(journey)
    moulds = Moulds(policy, uses=1)
    made, wanted = [], []
    for _ in range(4):
        ident, waypoint = data.draw(IDENTS[rules.track_by]), data.draw(st.sampled_from(WAYPOINTS[:3]))
        items = data.draw(several_items())
        owner = owner_again(ident, rules.track_by, Identification())
        assert owner
        append = Append(
            progress_id(ORGANISATION, JOURNEY, owner),
            *(ORGANISATION, JOURNEY, rules.version, owner),
            items={waypoint: items},
        )
        lock_key, now = data.draw(st.text(max_size=5)), data.draw(TIMES)
        made.append(moulds.begin(append, rules, lock_key, now))
        wanted.append(begin(append, rules, policy, lock_key, now))
        if len(items) == 1:
            assert (mould_of(rules, waypoint, 1, policy) is None) is (wanted[-1] is None)
    assert list(map(_written, made)) == list(map(_written, wanted))


def _written(beginning: Beginning | None) -> tuple[Beginning, bytes] | None:
    """What is compared, and the document as bytes: to MongoDB fields in another order are another document."""
    return (beginning, bson.encode(beginning.document)) if beginning else None
