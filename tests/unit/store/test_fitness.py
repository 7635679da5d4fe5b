"""Which servers are fit, by their answer to `hello`."""

from typing import Any

import pytest

from processor.store.connect import unfitness

REPLICA_SET = {"setName": "rs0", "isWritablePrimary": True, "maxWireVersion": 17}


@pytest.mark.parametrize(
    "hello",
    [REPLICA_SET, {"msg": "isdbgrid", "maxWireVersion": 17}, {**REPLICA_SET, "maxWireVersion": 13}],
    ids=["replica set", "sharded cluster", "5.0"],
)
def test_fit(hello: dict[str, Any]) -> None:
    assert unfitness(hello) is None


def test_a_standalone_is_told_how_to_become_a_replica_set() -> None:
    fault = unfitness({"isWritablePrimary": True, "maxWireVersion": 17})
    assert fault
    assert "rs.initiate()" in fault


def test_a_server_older_than_5_0_is_told_to_upgrade() -> None:
    fault = unfitness({**REPLICA_SET, "maxWireVersion": 9})
    assert fault
    assert "5.0" in fault
