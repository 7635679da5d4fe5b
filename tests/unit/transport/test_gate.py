"""A revocation waits for what is on its way to the group, and never leaves it to the next generation (I1, trap 5)."""

import asyncio

import pytest

from processor.errors import BrokerUnavailable
from processor.transport.commits import Commits
from processor.transport.gate import Gate
from tests.unit.transport.test_commits import ONE, Group, given


async def test_trap_5_a_revocation_waits_for_commits_that_are_under_way() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    gate = Gate(deadline=10, commits=commits)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2})
    revocation = asyncio.create_task(gate.on_partitions_revoked({ONE}))
    await group.answer()
    assert not revocation.done()
    assert gate.generation == 0
    await group.answer()
    await revocation
    assert group.asked == [{ONE: 1}, {ONE: 2}]
    assert gate.generation == 1


@pytest.mark.parametrize("error", [None, BrokerUnavailable("away")])
async def test_what_is_not_committed_by_then_is_dropped(error: Exception | None) -> None:
    """Later it would go under the group's next generation, and the partitions may be another's."""
    group = Group()
    commits = Commits(group.take, pace=0)
    gate = Gate(deadline=0.01, commits=commits)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2})
    if error:
        await group.answer(error)
    await gate.on_partitions_revoked({ONE})
    assert gate.generation == 1
    asked = len(group.asked)
    commits.go_on()
    await group.answer()
    assert len(group.asked) == asked
