"""Ingest: append, park, commit, in this order, whatever fails in between (I1, I2, I3)."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from processor.core.glance import Glance, LeaveOut
from processor.core.identity import Identification
from processor.core.records import Reason
from processor.core.rejections import RejectionBudget
from processor.core.shelves import Held
from processor.errors import BrokerUnavailable, RejectionBudgetSpent, StoreUnavailable
from processor.services.ingest import Ingest, IngestPolicy, PromoterBeside
from processor.testing.broker import MemoryDeadLetters
from processor.testing.group import MemoryRecordSource
from tests.builders import WAYPOINTS, a_journey, a_statement
from tests.unit.services.world import BROKER_AWAY, LETTERS, OURS, STORE_AWAY, World, pending

GROUP = {"objectType": "Group", "member": [{"mbox": "mailto:ana@example.org"}, {"mbox": "mailto:ben@example.org"}]}


async def an_ingest(world: World, **policy: Any) -> tuple[Ingest, MemoryRecordSource]:
    """A member that has all partitions, and the journeys in force."""
    await world.journeys.refresh()
    member = await world.group.join(world.effects)
    letters = MemoryDeadLetters(world.broker, LETTERS, world.effects)
    chosen = IngestPolicy(**{"tenancy": OURS, **policy})
    return Ingest(member, world.store, letters, world.journeys, chosen, world.around, PromoterBeside()), member


async def test_i3_the_first_letter_of_each_reason_is_an_increase() -> None:
    """Prometheus sees none in a counter that was not there before."""
    world = World()
    await an_ingest(world)
    read = world.metrics.registry.get_sample_value
    assert {read("journey_progress_dead_letters_total", {"reason": reason}) for reason in Reason} == {0}


async def test_i1_i3_the_order_of_durable_effects() -> None:
    world = World()
    world.send(a_statement(1), b"not json")
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 2
    assert world.effects.done == ["append.statement", "append.progress", "park", "commit"]
    assert world.committed == 2
    assert world.letters == [b"not json"]
    assert len(pending(world.documents[0])) == 1


@pytest.mark.parametrize(
    ("effect", "error", "done"),
    [
        ("append.statement.before", STORE_AWAY, []),
        ("append.progress.before", STORE_AWAY, ["append.statement"]),
        ("append.progress.after", STORE_AWAY, ["append.statement", "append.progress"]),
        ("park.before", BROKER_AWAY, ["append.statement", "append.progress"]),
        ("park.after", BROKER_AWAY, ["append.statement", "append.progress", "park"]),
        ("commit.before", BROKER_AWAY, ["append.statement", "append.progress", "park"]),
    ],
)
async def test_i1_i2_what_fails_is_not_committed_and_done_again(effect: str, error: Exception, done: list[str]) -> None:
    world = World()
    world.send(a_statement(1), b"not json")
    ingest, _ = await an_ingest(world)
    world.effects.fail(effect, error)
    with pytest.raises(type(error)):
        await ingest.step()
    assert world.effects.done == done
    assert world.committed == 0

    assert await ingest.step() == 2  # the same records again
    assert world.committed == 2
    [document] = world.documents
    assert len(pending(document)) == 1
    assert set(world.letters) == {b"not json"}
    assert await ingest.step() == 0


async def test_i2_a_commit_of_which_nobody_knows_costs_nothing() -> None:
    world = World()
    world.send(a_statement(1))
    ingest, member = await an_ingest(world)
    world.effects.fail("commit.after", BROKER_AWAY)
    with pytest.raises(BrokerUnavailable):
        await ingest.step()
    assert world.committed == 1
    world.group.redeliver(member)
    assert await ingest.step() == 0


async def test_i3_an_array_of_nothing_but_bad_items_is_parked_once_and_what_is_good_in_it_counts() -> None:
    world = World()
    world.send(orjson.dumps([*[0] * 10_000, a_statement(1)]))
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 1
    assert len(world.letters) == 1
    assert world.committed == 1
    assert len(pending(world.documents[0])) == 1


async def test_i3_so_is_one_of_statements_that_match_and_are_no_statements() -> None:
    world = World()
    broken = [a_statement(number) | {"result": {"duration": "an hour"}} for number in range(1_000)]
    world.send(orjson.dumps(broken, default=str))
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 1
    assert len(world.letters) == 1


async def test_i3_a_spent_budget_tells_records_from_letters() -> None:
    world = World()
    world.send([0, 0], b"not json", a_statement(1))
    ingest, _ = await an_ingest(world, budget=RejectionBudget(0.5, window=3))
    with pytest.raises(RejectionBudgetSpent) as raised:
        await ingest.step()
    assert str(raised.value).startswith("2 of the last 3 records cannot be used")
    assert "(the letters of its last poll: wrong-shape 2, not-json 1; the last: " in str(raised.value)
    assert world.letters == []


async def test_i3_a_failing_store_parks_nothing() -> None:
    world = World()
    world.send(a_statement(1), b"not json")
    ingest, _ = await an_ingest(world)
    world.effects.fail("append.progress.before", STORE_AWAY, times=3)
    for _try in range(3):
        with pytest.raises(StoreUnavailable):
            await ingest.step()
    assert world.letters == []


async def test_i3_a_bad_record_neither_blocks_nor_disappears() -> None:
    world = World()
    world.send(b"", b"\xff", {"actor": 1}, [a_statement(1), 5], a_statement(2))
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 5
    assert world.committed == 5
    assert len(world.letters) == 4
    assert len(pending(world.documents[0])) == 2
    reasons = {"empty": 1, "not-json": 1, "wrong-shape": 2}
    assert {reason: world.count("dead_letters_total", reason=reason) for reason in reasons} == reasons


async def test_what_the_first_records_hold_is_written_while_the_next_are_glanced_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And still it is one batch: every record in its place, and one commit when all of it is durable."""
    world = World()
    world.send(
        a_statement(1), a_statement(2, verb={"id": "http://example.org/other"}), a_statement(3), b"not json", b"[]"
    )
    ingest, _ = await an_ingest(world, stride=2, least=1)
    glance, glanced = Glance.unsettled, list[tuple[int, int]]()

    def spy(self: Glance, values: Sequence[bytes | None], leave_out: LeaveOut | None = None) -> list[Held[Any]]:
        glanced.append((len(values), world.effects.done.count("append.progress")))
        return glance(self, values, leave_out)

    monkeypatch.setattr(Glance, "unsettled", spy)
    assert await ingest.step() == 5
    assert glanced == [(2, 0), (2, 1), (1, 1)]  # what a document gets later goes in one write at the end
    assert world.effects.done[-2:] == ["park", "commit"]
    assert world.letters == [b"not json"]
    [document] = world.documents
    assert len(pending(document)) == 2
    assert world.count("statements_total") == 3
    assert world.committed == 5


async def test_a_batch_that_moved_on_meanwhile_is_left_to_the_next_member() -> None:
    world = World()
    world.send(a_statement(1))
    ingest, member = await an_ingest(world)
    world.effects.at("append.progress.after", lambda: world.group.revoke(member))
    with capture_logs() as logs:
        assert await ingest.step() == 1
    assert world.committed == 0
    assert world.count("lost_commits_total") == 1
    assert logs[-1]["committed"] is False

    successor, _ = await an_ingest(world)
    world.group.revoke(member)
    await world.group.leave(member)
    assert await successor.step() == 1
    assert (world.committed, len(pending(world.documents[0]))) == (1, 1)


async def test_what_matches_nothing_is_committed_all_the_same() -> None:
    world = World()
    world.send(a_statement(1, verb={"id": "http://example.org/else"}), [])
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 2
    assert world.effects.done == ["commit"]
    assert (world.documents, world.committed) == ([], 2)


async def test_an_empty_poll_does_nothing() -> None:
    world = World()
    ingest, _ = await an_ingest(world)
    assert await ingest.step() == 0
    assert world.effects.done == []


async def test_the_promoter_is_told_once_the_evidence_is_durable() -> None:
    world = World()
    ingest, _ = await an_ingest(world)
    world.send(a_statement(1, verb={"id": "http://example.org/else"}))
    await ingest.step()
    assert not ingest._promoter.appended.is_set()
    world.send(a_statement(2))
    world.effects.fail("append.progress.before", STORE_AWAY)
    with pytest.raises(StoreUnavailable):
        await ingest.step()
    assert not ingest._promoter.appended.is_set()
    await ingest.step()
    assert ingest._promoter.appended.is_set()


async def test_settings_say_whose_a_bare_statement_is_and_who_counts() -> None:
    world = World()
    world.send(a_statement(1, actor=GROUP))
    ingest, _ = await an_ingest(world, identification=Identification(count_group_members=True))
    await ingest.step()
    assert sorted(it["owner"]["ident"]["mbox"] for it in world.documents) == [
        "mailto:ana@example.org",
        "mailto:ben@example.org",
    ]


async def test_the_metrics_and_one_line_tell_what_a_batch_was() -> None:
    second = {"_id": WAYPOINTS[1], "isActive": True, "conditions": {"statement.object.id": "http://example.org/it"}}
    journey = a_journey()
    world = World({**journey, "waypoints": [*journey["waypoints"], second]})
    world.send(a_statement(1), a_statement(2, actor=GROUP), b"not json")
    ingest, _ = await an_ingest(world)
    with capture_logs() as logs:
        await ingest.step()
    names = ("records_total", "statements_total", "matches_total", "appends_total", "ingest_seconds_count")
    assert {name: world.count(name) for name in names} == dict(zip(names, (3, 2, 4, 1, 1), strict=True))
    assert world.count("uncounted_total", reason="anonymous-group") == 2
    [line] = logs
    assert (line["event"], line["span"], line["records"]) == ("batch ingested", "statements-0[0..2]", 3)
    assert (line["matches"], line["documents"], line["parked"]) == (4, 1, {"not-json": 1})
