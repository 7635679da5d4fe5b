"""A server process that cannot outlive us, and the directory it lives in."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from processor.embedded import watchdog
from processor.errors import EmbeddedUnavailable

START_DEADLINE = 60.0
STOP_DEADLINE = 20.0
ALTERNATIVES = (
    "elsewhere Docker Compose shows the main job (deploy/compose.yaml), and the tests take servers of your own "
    "(JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS, JOURNEY_PROGRESS_TEST_MONGO_URL)"
)


class ServerProcess:
    """One server under a watchdog, restartable on the same port and data. `is_ready` says when it answers."""

    def __init__(self, name: str, command: Sequence[str], directory: Path, is_ready: Callable[[], bool]) -> None:
        self.name = name
        self._command = list(command)
        self._directory = directory
        self._is_ready = is_ready
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with what the server wrote."""
        return self._directory / "server.log"

    def start(self) -> None:
        """Start and wait until it answers. Raises `EmbeddedUnavailable` with the end of its log when it does not."""
        with self.log.open("ab") as log:
            self._watchdog = subprocess.Popen(  # noqa: S603 - our own watchdog
                [sys.executable, watchdog.__file__, str(self._directory), *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                bufsize=0,  # an order is sent at once, or fails at once
                start_new_session=True,  # kill -9 of our whole group must leave it alive to clean up
            )
        deadline = time.monotonic() + START_DEADLINE
        while not self._is_ready():
            if self._watchdog.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedUnavailable(
                    f"the embedded {self.name} did not start: {_end_of(self.log)}; {ALTERNATIVES}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way, then by force; `start` brings it back with its data. Twice is fine."""
        if self._watchdog is None:
            return
        with suppress(BrokenPipeError):
            self._order("end")
        self.close()

    def close(self) -> None:
        """End it for good, as `stop` does. A temporary directory goes, also when we are ended while we wait."""
        if self._watchdog is None:
            return
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait(STOP_DEADLINE)
        self._watchdog = None

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL to its group); `start` brings it back with its data."""
        self._order("kill")
        assert self._watchdog is not None
        self._watchdog.wait(STOP_DEADLINE)
        self.stop()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nothing answers."""
        self._order("stop")

    def thaw(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._order("cont")

    def _order(self, word: str) -> None:
        assert self._watchdog is not None
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{word}\n".encode())


@contextmanager
def server_directory(name: str, data_dir: Path | None = None) -> Iterator[Path]:
    """Yield the directory `name` in `data_dir`, which is kept; without one a temporary, which never is.

    A temporary one is removed by the watchdog at the end of its server; here, if that ended before.
    """
    if data_dir is None:
        with TemporaryDirectory(prefix=f"{name}-", suffix=watchdog.TEMPORARY, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
    else:
        directory = data_dir.resolve() / name
        directory.mkdir(parents=True, exist_ok=True)
        yield directory


def free_port() -> int:
    """Return a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Tell whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return " | ".join(line[:200] for line in lines[-5:]) or "it wrote no log"
