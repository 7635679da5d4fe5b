"""`clients list` of a collection that may be Learning Locker's own, and edited by hand."""

from typing import Any

import orjson
import pytest
from bson import ObjectId

from processor.cli import clients
from processor.settings import PREFIX
from tests.unit.cli.command import Command

ID = ObjectId("59c23b28f6463f3569446bd1")


@pytest.mark.parametrize("api", [None, "x", [], {}, {"basic_key": None}])
def test_a_client_that_somebody_broke_hides_no_other(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch, api: Any
) -> None:
    async def listed(*_: object) -> list[dict[str, Any]]:
        return [{"_id": ID, "api": api}, {"_id": ID, "api": {"basic_key": "sound"}, "isTrusted": True}]

    monkeypatch.setenv(f"{PREFIX}MONGO_URL", "mongodb://nowhere")
    monkeypatch.setattr(clients, "list_clients", listed)
    done = journey_progress("clients", "list", "--json")
    assert done.status == 0, done.err
    broken, sound = orjson.loads(done.out)
    assert (broken["key"], broken["state"]) == ("", "revoked")
    assert (sound["key"], sound["state"]) == ("sound", "trusted")
