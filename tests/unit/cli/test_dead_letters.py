"""What `dead-letters` refuses before it asks any server, and how a replay ends."""

from collections import Counter

import orjson
import pytest
from typer.testing import CliRunner

from processor.cli import dead_letters
from processor.cli.main import app
from processor.services.dead_letters import Replayed
from processor.settings import PREFIX
from tests.unit.cli.command import Command


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["replay"], "--all"),
        (["replay", "--all", "--reason", "empty"], "--all"),
        (["replay", "--reason", "unheard-of"], "unheard-of"),
        (["replay", "--all", "--rate", "0"], "--rate"),
        (["list", "--record", "somewhere"], "TOPIC-PARTITION"),
        (["list", "--since", "yesterday"], "--since"),
        (["show", "somewhere"], "Invalid value for RECORD: 'somewhere' is not a record"),
    ],
)
def test_a_wrong_selection_is_a_wrong_usage(arguments: list[str], names: str) -> None:
    result = CliRunner().invoke(app, ["dead-letters", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert names in result.output


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(("refused", "status"), [({}, 0), ({"in-0@2": "too large"}, 65)])
def test_a_replay_of_which_records_were_refused_is_told_whole_and_ends_so(
    journey_progress: Command,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    refused: dict[str, str],
    status: int,
) -> None:
    async def replay(*_: object, **__: object) -> Replayed:
        return Replayed(Counter(empty=3), records=3, published=3 - len(refused), refused=refused)

    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", "nowhere:9092")
    monkeypatch.setenv(f"{PREFIX}MONGO_URL", "mongodb://nowhere")
    monkeypatch.setattr(dead_letters, "replay_dead_letters", replay)
    done = journey_progress("dead-letters", "replay", "--all", *options)
    assert done.status == status
    assert ("KAFKA_MAX_MESSAGE_BYTES" in done.err) == bool(refused)
    if options:
        assert orjson.loads(done.out)["refused"] == refused
    else:
        assert f"{3 - len(refused)} records replayed" in done.out
        assert ("in-0@2 was refused: too large" in done.out) == bool(refused)
