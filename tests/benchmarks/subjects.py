"""What is measured: `journey-progress run`, and the peers that do the same job on other stream processors."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PEERS_PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
"""Made by `make peers`."""

PEERS = {
    "Quix Streams": "quix",
    "FastStream, confluent": "faststream-confluent",
    "FastStream, aiokafka": "faststream-aiokafka",
}


class Subject(NamedTuple):
    """A program under test; without a command it is ours."""

    name: str
    command: Sequence[str] = ()


OURS = Subject("journey-progress")


def peers() -> Sequence[Subject]:
    """Return the peers, none where they are not installed."""
    if not PEERS_PYTHON.exists():
        return ()
    return [Subject(name, [str(PEERS_PYTHON), "-m", "tests.benchmarks.peers", key]) for name, key in PEERS.items()]
