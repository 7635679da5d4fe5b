"""One contract for `ports.ProgressStore`: leases shorter than the work done under them (trap 6)."""

from msgspec.structs import replace

from tests.builders import a_promotion, an_append, an_item, at
from tests.contract.stores import Both, pending


async def test_trap_6_leases_shorter_than_the_apply_cost_work_and_double_nothing(both: Both) -> None:
    """Livelock, not loss: each is overtaken before it applies, and the first that is not lands once."""
    await both.append(an_append(an_item(1)))
    workers = [both.store, both.other] * 3
    claims = [await worker.claim(f"key{n}", at(10 * n), at(10 * n + 1), 10) for n, worker in enumerate(workers)]
    assert [len(claim.documents) for claim in claims] == [1] * 6

    for worker, claim in zip(workers[:-1], claims[:-1], strict=True):
        assert (await worker.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(90))).fenced == 1
    assert pending(await both.only()) == [an_item(1).statement]

    last = claims[-1]
    assert (await workers[-1].apply(last, [a_promotion(last.documents[0], an_item(1))], at(99))).landed == 1
    document = await both.only()
    assert (pending(document), document["processing"]["revision"]) == ([], 1)
    assert len(document["processing"]["outbox"]) == 1


async def test_trap_6_how_many_leases_ran_out_is_to_be_seen(both: Both) -> None:
    for name in "abc":
        await both.append(an_append(owner=name))
    claim = await both.store.claim("slow", at(1), at(2), 2)
    assert (await both.store.backlog(at(3))).expired == 2
    promotion = a_promotion(claim.documents[0], an_item(1))
    await both.store.apply(claim, [promotion, replace(promotion, progress=claim.documents[1]["_id"])], at(4))
    assert (await both.store.backlog(at(5))).expired == 0
