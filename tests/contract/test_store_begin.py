"""One contract for `ports.ProgressStore`: first promotions by insert, and outboxes handed over as they are filled."""

from bson import ObjectId

from processor.core.beginning import Beginning, begin
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from tests.builders import a_promotion, an_append, an_item, at, journey_rules
from tests.contract.stores import Both, a_lease, pending

LEASE = a_lease()
RULES = journey_rules((0, 1))


def a_beginning(number: int = 1, owner: str = "ana") -> Beginning:
    append = an_append(an_item(number), owner=owner)
    found = begin(append, RULES, FoldingPolicy(), "lock-key", at(number))
    assert found
    return found


async def test_a_begun_document_is_what_append_claim_and_apply_make(both: Both) -> None:
    """All but the marks of the claims, and the instant at which something was done."""
    begun, usual = a_beginning(owner="begun"), a_beginning(owner="usual")
    assert not await both.store.begin([begun], None, at(1))
    await both.append(usual.append, at_second=1)
    claim = await both.store.claim("lock-key", at(1), at(61), 10)
    promotion = promote(claim.documents[0], RULES, FoldingPolicy(), at(1))
    assert (await both.store.apply(claim, [promotion], at(1))).landed == 1
    one, other = ({**it, "_id": 0, "owner": 0} for it in await both.all())
    for document in (one, other):
        [entry] = document["processing"]["outbox"]
        document["processing"] = {**document["processing"], "outbox": 0}
        assert entry
    assert one == other


async def test_p1_who_is_there_is_left_alone_and_named(both: Both) -> None:
    await both.append(an_append(an_item(7)))
    new = a_beginning(2, owner="ben")
    taken = await both.store.begin([a_beginning(1), new], LEASE, at(1))
    assert taken == {an_append().progress}
    documents = {it["_id"]: it for it in await both.all()}
    assert pending(documents[an_append().progress]) == [an_item(7).statement]
    assert documents[new.append.progress]["processing"]["revision"] == 1


async def test_what_is_missing_is_told(both: Both) -> None:
    await both.append(an_append())
    other = ObjectId()
    assert await both.store.missing([an_append().progress, other]) == {other}
    assert await both.store.missing([]) == frozenset()


async def test_r1_a_begun_outbox_is_found_by_its_mark_or_when_its_lease_runs_out(both: Both) -> None:
    marked, leased = a_beginning(1, owner="a"), a_beginning(2, owner="b")
    await both.account(0, at_second=0)
    await both.store.begin([marked], None, at(1))
    await both.store.begin([leased], LEASE, at(2))
    first = await both.other.claim_events("first", at(3), at(63), 10)
    assert first.outboxes == {marked.append.progress: (marked.event,)}
    later = await both.other.claim_events("later", at(61), at(121), 10)
    assert later.outboxes == {leased.append.progress: (leased.event,)}


async def test_r2_an_idle_outbox_is_handed_over_by_the_apply_and_no_other(both: Both) -> None:
    idle = an_append(an_item(9), owner="idle")
    await both.account(0, at_second=0)
    busy = await both.promoted(1, owner="busy")
    await both.append(idle, an_append(an_item(8), owner="busy"), at_second=5)
    claim = await both.store.claim("lock", at(6), at(66), 10)
    promotions = [a_promotion(it, an_item(9 if it["_id"] == idle.progress else 8)) for it in claim.documents]
    applied = await both.store.apply(claim, promotions, at(7), LEASE)
    assert (applied.landed, list(applied.outboxes)) == (2, [idle.progress])
    assert list((await both.other.claim_events("other", at(8), at(68), 10)).outboxes) == [busy]
    again = await both.other.claim_events("again", at(61), at(121), 10)
    assert again.outboxes == applied.outboxes


async def test_r1_a_fenced_apply_hands_nothing_over(both: Both) -> None:
    await both.append(an_append(an_item(1)), an_append(an_item(2), owner="ben"))
    late = await both.store.claim("late", at(1), at(2), 2)
    taken = await both.other.claim("other", at(3), at(63), 1)
    applied = await both.store.apply(late, [a_promotion(it) for it in late.documents], at(4), LEASE)
    assert (applied.landed, applied.fenced) == (1, 1)
    assert not applied.outboxes.keys() & {it["_id"] for it in taken.documents}
    assert len(applied.outboxes) == 1
    repeated = await both.store.apply(late, [a_promotion(it) for it in late.documents], at(5), LEASE)
    assert (repeated.landed, repeated.outboxes) == (0, applied.outboxes)  # landed before, and is still held


async def test_r1_an_insert_that_took_long_is_found_by_the_next_look_of_its_process(both: Both) -> None:
    assert not (await both.store.claim_events("none", at(100), at(160), 10)).outboxes
    late = a_beginning(1)
    await both.store.begin([late], None, at(1))
    assert list((await both.store.claim_events("late", at(100.1), at(160), 10)).outboxes) == [late.append.progress]
