"""What comes off a plate is what would be inserted without it, to the byte (F1)."""

from datetime import UTC, datetime
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from processor.core.beginning import Beginning, begin
from processor.core.evidence import Append, Item
from processor.core.identity import Identification, owner_again, progress_id
from processor.core.journey import JourneyRules, compile_journey
from processor.core.mould import Moulded, Moulds
from processor.core.policy import FoldingPolicy
from processor.core.relaying import HANDY, is_handy
from processor.ports.progress import RelayLease
from processor.store.plates import Plates
from processor.store.updates import begun_document
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_journey, a_reference
from tests.property.test_mould import IDENTS, POLICIES, TIMES, journeys, several_items

NUMBERS = st.integers(1, 2**40)
"""Of a lease; the larger ones take more room in BSON."""


def an_append(rules: JourneyRules, ident: Any, waypoint: str, *items: Item) -> Append:
    owner = owner_again(ident, rules.track_by, Identification())
    assert owner
    progress = progress_id(ORGANISATION, JOURNEY, owner)
    return Append(progress, ORGANISATION, JOURNEY, rules.version, owner, {waypoint: items})


@given(data=st.data(), journey=journeys(), policy=POLICIES)
def test_f1_what_is_printed_is_what_would_be_inserted(
    data: st.DataObject, journey: dict[str, Any], policy: FoldingPolicy
) -> None:
    rules = compile_journey(journey)
    moulds, plates = Moulds(policy, uses=1), Plates()
    for _ in range(3):
        made: list[Beginning] = []
        wanted: list[Beginning] = []
        now = data.draw(TIMES)
        for _ in range(3):
            waypoint = data.draw(st.sampled_from(WAYPOINTS[:3]))
            items = data.draw(several_items())
            append = an_append(rules, data.draw(IDENTS[rules.track_by]), waypoint, *items)
            lock_key, since = data.draw(st.text(max_size=5)), data.draw(st.sampled_from([now, items[0].timestamp]))
            if beginning := moulds.begin(append, rules, lock_key, since):
                made.append(beginning)
            if beginning := begin(append, rules, policy, lock_key, since):
                wanted.append(beginning)
        lease = data.draw(st.none() | st.builds(RelayLease, st.just(ObjectId()), NUMBERS, st.just(now)))
        printed = plates.begun(made, lease, now)
        assert [bson.encode(it) for it in printed] == [bson.encode(begun_document(it, lease, now)) for it in wanted]
        for beginning, document in zip(made, printed, strict=True):
            is_handed = bool(lease and beginning.event and is_handy(beginning.event))
            is_moulded = isinstance(beginning.document, Moulded)
            assert isinstance(document, RawBSONDocument) is (is_handed and is_moulded)
            assert is_moulded or max(map(len, beginning.append.items.values())) > 1


def test_an_event_that_is_not_handed_over_is_inserted_as_without_a_plate() -> None:
    rules = compile_journey(a_journey(_id=JOURNEY, trackBy="actor"))
    moulds, plates, now = Moulds(FoldingPolicy(), uses=1), Plates(), datetime(2026, 11, 30, tzinfo=UTC)
    lease = RelayLease(ObjectId(), 1, now)
    for name in ("Ana", "A" * HANDY, "Ben"):
        ident = {"name": name, "mbox": "mailto:ana@example.org"}
        beginning = moulds.begin(an_append(rules, ident, WAYPOINTS[0], Item(a_reference(1), now)), rules, "", now)
        assert beginning
        [document] = plates.begun([beginning], lease, now)
        assert bson.encode(document) == bson.encode(begun_document(beginning, lease, now))
        assert isinstance(document, RawBSONDocument) is (name != "A" * HANDY)
