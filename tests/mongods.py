"""A mongod of a test's own, started with options that the shared one does not have."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.embedded.process import ServerProcess, answers, free_port
from processor.embedded.servers import mongod_program
from processor.errors import EmbeddedUnavailable


@contextmanager
def a_mongod(*options: str) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory(suffix=".journey-progress") as directory:
        try:
            command = [str(mongod_program()), "--dbpath", directory, "--port", str(port), "--bind_ip", "127.0.0.1"]
        except EmbeddedUnavailable as unavailable:
            pytest.skip(str(unavailable))
        process = ServerProcess(
            "mongod", [*command, "--nounixsocket", *options], Path(directory), lambda: answers(port)
        )
        process.start()
        try:
            yield port
        finally:
            process.stop()
