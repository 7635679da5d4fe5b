"""The audit of what was handed to relays: at once, in parts, and then every hour."""

from datetime import timedelta

import pytest

from processor.services.audit import EVERY, Audit
from tests.unit.services.world import STORE_AWAY, World


async def test_it_is_done_at_the_start_in_parts_and_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(), list[object]()
    answers = [False, True, True]

    async def audit(now: object) -> bool:
        asked.append(now)
        return answers.pop(0)

    monkeypatch.setattr(world.store, "audit", audit)
    work = Audit(world.store, world.around)
    assert [await work.step() for _ in range(4)] == [1, 0, 0, 0]
    assert len(asked) == 2
    world.clock.advance(EVERY.total_seconds() - 1)
    assert await work.step() == 0
    assert len(asked) == 2
    world.clock.advance(timedelta(seconds=1).total_seconds())
    assert await work.step() == 0
    assert len(asked) == 3


async def test_one_that_fails_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world, failing = World(), [True]

    async def audit(now: object) -> bool:
        if failing.pop() if failing else False:
            raise STORE_AWAY
        return True

    monkeypatch.setattr(world.store, "audit", audit)
    work = Audit(world.store, world.around)
    with pytest.raises(type(STORE_AWAY)):
        await work.step()
    assert await work.step() == 0
