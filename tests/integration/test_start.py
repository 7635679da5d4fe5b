"""What is wrong at the start is said in one clear line with the mend, and ends the process with its exit code."""

import asyncio
import gc
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo import ASCENDING
from structlog.testing import capture_logs

from processor.app import Part, run_processor
from processor.errors import JourneyProgressError, Misfit
from processor.operating import (
    create_all_topics,
    find_journey,
    find_progress,
    list_clients,
    list_journeys,
    list_locks,
    read_status,
)
from processor.recalculating import foresee_recalculation
from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, STATEMENTS, open_database
from schemas.journey import journey_document, journey_from
from tests.mongods import a_mongod
from tests.servers import Servers
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey

# PyMongo 4.20 forgets a socket when it is closed while its monitor connects (PYTHON-5867).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PATIENT = 10.0
"""Seconds for MongoDB where a test does not try again what takes too long: each login hashes its password slowly."""


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """Find what PyMongo forgot here, and not in whatever test comes next."""
    yield
    gc.unfreeze()  # the loops freeze what is there when they have read the journeys
    gc.collect()


@pytest.fixture(scope="module")
def with_tls() -> Iterator[int]:
    """A mongod that speaks nothing but TLS, under a certificate that nobody signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    with tempfile.TemporaryDirectory() as directory:
        certificate, key, both = (Path(directory, name) for name in ("certificate", "key", "both"))
        about = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([openssl, "req", "-x509", *about, *files], check=True, capture_output=True)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        options = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(both))
        with a_mongod(*options) as port:
            yield port


async def refusal(settings: Settings) -> str:
    """Start all parts; return the one line that the command would print. An outage would be waited out for ever."""
    with pytest.raises(JourneyProgressError) as caught:
        await run_processor(settings, tuple(Part))
    assert caught.value.exit_code == 78
    assert not caught.value.retriable
    line = str(caught.value)
    assert "\n" not in line
    assert "secret" not in line
    return line


def with_mongo(settings: Settings, url: str, seconds: float = 2.0) -> Settings:
    return settings.model_copy(update={"mongo_url": SecretStr(url), "mongo_timeout": seconds})


async def test_a_missing_topic(settings: Settings) -> None:
    line = await refusal(settings)
    assert settings.statements_topic in line
    assert "topics create" in line
    assert "or this user may not describe it" in line


@pytest.mark.parametrize("user", ["", "writer:wrong@", "nobody:secret@"])
async def test_wrong_credentials_of_mongodb(settings: Settings, guarded: int, user: str) -> None:
    assert "user, password" in await refusal(
        with_mongo(settings, f"mongodb://{user}127.0.0.1:{guarded}/?replicaSet=rs0")
    )


async def test_a_user_that_may_only_read(settings: Settings, guarded: int) -> None:
    url = f"mongodb://reader:secret@127.0.0.1:{guarded}/?replicaSet=rs0&authSource=admin"
    assert "readWrite" in await refusal(with_mongo(settings, url))


async def test_a_user_that_may_write_is_enough(settings: Settings, guarded: int) -> None:
    """The next thing that is wrong is told: there are no topics."""
    url = f"mongodb://writer:secret@127.0.0.1:{guarded}/?replicaSet=rs0&authSource=admin"
    assert "topics create" in await refusal(with_mongo(settings, url))


async def test_who_only_looks_needs_no_more_than_to_read_and_writes_nothing(settings: Settings, guarded: int) -> None:
    url = "mongodb://{}:secret@127.0.0.1:{}/?replicaSet=rs0&authSource=admin"
    looking = with_mongo(settings, url.format("reader", guarded), PATIENT)
    await create_all_topics(looking)
    assert await list_journeys(looking) == []
    assert await find_journey(looking, ObjectId()) is None
    assert await find_progress(looking) == []
    assert await list_clients(looking) == []
    assert (await list_locks(looking, 10))[1] == []
    status = await read_status(looking)
    assert not status.unknown
    assert status.backlog
    assert status.backlog.documents == 0
    for user in ("reader", "writer"):
        as_user = with_mongo(settings, url.format(user, guarded), PATIENT)
        assert not (await read_status(as_user)).unknown
        async with open_database(as_user) as database:
            assert await database.list_collection_names() == []


async def test_a_dry_recalculation_needs_no_more_than_to_read_and_makes_no_index(
    settings: Settings, guarded: int
) -> None:
    url = "mongodb://{}:secret@127.0.0.1:{}/?replicaSet=rs0&authSource=admin"
    course = journey_document(journey_from(the_journey(a_waypoint(0, "a", 1))))
    async with open_database(with_mongo(settings, url.format("writer", guarded), PATIENT)) as database:
        await database[JOURNEYS].insert_one(course)
        await database[STATEMENTS].insert_one(a_stored(1, "a"))
        for user in ("reader", "writer"):
            looking = with_mongo(settings, url.format(user, guarded), PATIENT)
            [foreseen] = await foresee_recalculation(looking, course["_id"], None, lambda _, __: None)
            assert foreseen.is_completed
            assert set(await database.list_collection_names()) == {JOURNEYS, STATEMENTS}
            assert list(await database[STATEMENTS].index_information()) == ["_id_"]


async def test_a_standalone_mongod(settings: Settings) -> None:
    with a_mongod() as port:
        standalone = with_mongo(settings, f"mongodb://127.0.0.1:{port}/")
        assert "rs.initiate()" in await refusal(standalone)
        with pytest.raises(Misfit, match=r"rs\.initiate"):
            await list_clients(standalone)


async def test_an_index_of_somebody_else_in_the_place_of_ours(settings: Settings) -> None:
    async with open_database(settings) as database:
        await database[PROGRESSES].create_index([("journey", ASCENDING)], name="journey_folded")
        line = await refusal(settings)
        await database.client.drop_database(database.name)
    assert PROGRESSES in line
    assert "journey_folded" in line
    assert "drop it" in line


async def test_a_missing_index_is_made(settings: Settings) -> None:
    await refusal(settings)  # for want of topics, which are looked for after the indexes
    async with open_database(settings) as database:
        names = {index["name"] async for index in await database[PROGRESSES].list_indexes()}
        await database.client.drop_database(database.name)
    assert {"processing_due", "processing_lease", "journey_folded"} <= names


async def test_tls_with_a_mongodb_that_does_not_speak_it(settings: Settings, servers: Servers) -> None:
    separator = "&" if "?" in servers.mongo_url else "?"
    assert "TLS" in await refusal(with_mongo(settings, f"{servers.mongo_url}{separator}tls=true"))


async def test_no_tls_with_a_mongodb_that_speaks_nothing_else(settings: Settings, with_tls: int) -> None:
    assert "add tls=true" in await refusal(with_mongo(settings, f"mongodb://127.0.0.1:{with_tls}/?replicaSet=rs0"))


async def test_a_certificate_that_nobody_signed(settings: Settings, with_tls: int) -> None:
    line = await refusal(with_mongo(settings, f"mongodb://localhost:{with_tls}/?replicaSet=rs0&tls=true"))
    assert "certificate verify failed" in line
    assert "tlsCAFile" in line


async def test_tls_with_a_kafka_that_does_not_speak_it(settings: Settings) -> None:
    line = await refusal(settings.model_copy(update={"kafka_security_protocol": "SSL"}))
    assert "KAFKA_SECURITY_PROTOCOL" in line


async def test_no_tls_with_a_kafka_that_speaks_nothing_else(settings: Settings, with_tls: int) -> None:
    """Any server with TLS closes the connection of one who does not speak it."""
    line = await refusal(settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{with_tls}"}))
    assert "speaks TLS" in line


async def test_a_sasl_mechanism_that_the_broker_does_not_have(settings: Settings, servers: Servers) -> None:
    if servers.kind != "embedded":
        pytest.skip("other brokers close the connection of one who begins with SASL")
    sasl = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_username": "a"}
    line = await refusal(settings.model_copy(update={**sasl, "kafka_sasl_password": SecretStr("secret")}))
    assert "SCRAM-SHA-512" in line


def guarded_kafka(settings: Settings, servers: Servers, mechanism: str, password: str) -> Settings:
    if servers.kafka_guarded is None:
        pytest.skip("this Kafka asks nobody for a password: `make test-apache` has one that does")
    sasl = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": mechanism}
    who = {"kafka_sasl_username": "writer", "kafka_sasl_password": SecretStr(password)}
    return settings.model_copy(update={"kafka_bootstrap_servers": servers.kafka_guarded, **sasl, **who})


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_of_kafka(settings: Settings, servers: Servers, mechanism: str) -> None:
    line = await refusal(guarded_kafka(settings, servers, mechanism, "wrong"))
    assert "KAFKA_SASL_PASSWORD" in line
    assert "wrong" not in line


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_the_right_password_of_kafka(settings: Settings, servers: Servers, mechanism: str) -> None:
    knowing = guarded_kafka(settings, servers, mechanism, "secret")
    assert "topics create" in await refusal(knowing)  # the next thing that is wrong: there are no topics
    assert all((await create_all_topics(knowing)).values())
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(knowing, tuple(Part), stop))
        async with asyncio.timeout(30):
            while not any(entry["event"] == "partitions assigned" for entry in logs):  # noqa: ASYNC110 - logs have no event
                await asyncio.sleep(0.05)
        stop.set()
        await running


async def test_missing_topics_are_made_by_setting(settings: Settings) -> None:
    stop = asyncio.Event()
    making = settings.model_copy(update={"create_topics": True})
    running = asyncio.create_task(run_processor(making, (Part.RELAY,), stop))
    stop.set()
    await running
    assert not any((await create_all_topics(settings)).values())
