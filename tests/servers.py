"""Where the tests' servers come from. For Kafka and for MongoDB, each on its own, the first that applies:

1. an address in the environment: JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS, JOURNEY_PROGRESS_TEST_MONGO_URL;
2. JOURNEY_PROGRESS_TEST_KAFKA=apache: Apache Kafka from its jars (`make test-apache`), with the embedded mongod;
3. a container, when a Docker engine answers;
4. the embedded server.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from processor.embedded import ServerProcess, embedded_kafka, embedded_mongo
from processor.embedded.process import free_port
from processor.embedded.servers import SMALL_CACHE
from tests.apache.broker import apache_kafka

KAFKA = "JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS"
MONGO = "JOURNEY_PROGRESS_TEST_MONGO_URL"
KAFKA_IMAGE = "apache/kafka:4.1.0"
MONGO_IMAGE = "mongo:8"

# The image takes either its own defaults or all of a broker's settings from the environment.
KAFKA_SETTINGS = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}
BECOME_PRIMARY = """
    rs.initiate({_id: "rs0", members: [{_id: 0, host: "localhost:27017"}]});
    while (!db.hello().isWritablePrimary) sleep(50);
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses, and the processes where they are ours to torment. `kind` is the broker's: see `_kafka`.

    `kafka_guarded` is a listener of the same broker that asks for a password, where it has one: see apache/broker.py.
    """

    kafka: str
    mongo_url: str
    kind: str
    kafka_process: ServerProcess | None = None
    mongo_process: ServerProcess | None = None
    kafka_guarded: str | None = None


@contextmanager
def found_servers(mongo_cache: float | None = SMALL_CACHE) -> Iterator[Servers]:
    """Find or start a Kafka and a MongoDB, the latter with `mongo_cache` if embedded; end what was started."""
    guarded = free_port()
    with _mongo(mongo_cache) as (mongo_url, mongo), _kafka(guarded) as (kafka, kind, broker):
        yield Servers(kafka, mongo_url, kind, broker, mongo, f"127.0.0.1:{guarded}" if kind == "apache" else None)


@contextmanager
def _kafka(guarded: int) -> Iterator[tuple[str, str, ServerProcess | None]]:
    """Yield the bootstrap address, the kind (yours, apache, container or embedded) and the process if it is ours."""
    if KAFKA in os.environ:
        yield os.environ[KAFKA], "yours", None
    elif _wants_apache():
        with apache_kafka(guarded) as (address, process):
            yield address, "apache", process
    elif _docker_answers():
        with _kafka_container() as address:
            yield address, "container", None
    else:
        with embedded_kafka() as (address, process):
            yield address, "embedded", process


@contextmanager
def _mongo(cache: float | None) -> Iterator[tuple[str, ServerProcess | None]]:
    """Yield the URL, and the process if it is ours."""
    if MONGO in os.environ:
        yield os.environ[MONGO], None
    elif not _wants_apache() and _docker_answers():
        with _mongo_container() as url:
            yield url, None
    else:
        with embedded_mongo(cache=cache) as (url, process):
            yield url, process


@contextmanager
def _kafka_container() -> Iterator[str]:
    """Run Apache Kafka's image. Not testcontainers' KafkaContainer: it runs scripts that only Confluent's image has."""
    port = free_port()  # known before the start, because the broker has to advertise it
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_envs(**KAFKA_SETTINGS)
    address = f"{container.get_docker_client().host()}:{port}"
    container.with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://{address}")
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
        yield address


@contextmanager
def _mongo_container() -> Iterator[str]:
    """Run a replica set of one. Not testcontainers' MongoDbContainer: it sets a password, which needs a key file."""
    container = DockerContainer(MONGO_IMAGE).with_exposed_ports(27017).with_command("--replSet rs0 --bind_ip_all")
    with container.waiting_for(LogMessageWaitStrategy("Waiting for connections")):
        formed = container.exec(["mongosh", "--quiet", "--eval", BECOME_PRIMARY])
        assert formed.exit_code == 0, formed.output
        yield f"mongodb://{container.get_container_host_ip()}:{container.get_exposed_port(27017)}/?directConnection=true"


def _wants_apache() -> bool:
    return os.environ.get("JOURNEY_PROGRESS_TEST_KAFKA") == "apache"


def _docker_answers() -> bool:
    if "DOCKER_HOST" not in os.environ:
        with socket.socket(socket.AF_UNIX) as probe:  # docker's client leaves its socket open when nobody answers
            probe.settimeout(2)
            if probe.connect_ex("/var/run/docker.sock") != 0:
                return False
    try:
        docker.from_env(timeout=2).close()  # asks the engine for its version
    except DockerException:
        return False
    return True
