"""`python -m tests.benchmarks.peers NAME`: run one, with the settings in the environment, until SIGTERM."""

import gc
import sys
from collections.abc import Callable, Mapping

import uvloop

from processor.settings import Settings, load_settings
from tests.benchmarks.peers import fast, quix

PEERS: Mapping[str, Callable[[Settings], None]] = {
    "quix": quix.run,
    "faststream-confluent": lambda settings: uvloop.run(fast.run_on_confluent(settings)),
    "faststream-aiokafka": lambda settings: uvloop.run(fast.run_on_aiokafka(settings)),
}


def main() -> None:
    """Run the peer that the command line names."""
    gc.set_threshold(200_000, 20, 20)  # as ours: a batch is alive as long as it is worked on
    PEERS[sys.argv[1]](load_settings())


if __name__ == "__main__":
    main()
