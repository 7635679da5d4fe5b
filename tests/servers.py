"""Where the tests' servers come from. One function decides:

1. addresses in the environment: JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS and JOURNEY_PROGRESS_TEST_MONGO_URL;
2. JOURNEY_PROGRESS_TEST_KAFKA=apache: Apache Kafka from its jars (`make test-apache`), with the embedded mongod;
3. containers, when a Docker engine answers;
4. the embedded servers.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException
from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.mongodb import MongoDbContainer

from processor.embedded import ServerProcess, embedded_kafka, embedded_mongo
from tests.apache.broker import apache_kafka

KAFKA = "JOURNEY_PROGRESS_TEST_KAFKA_BOOTSTRAP_SERVERS"
MONGO = "JOURNEY_PROGRESS_TEST_MONGO_URL"


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses, and the processes where they are ours to torment."""

    kafka: str
    mongo_url: str
    kind: str
    kafka_process: ServerProcess | None = None
    mongo_process: ServerProcess | None = None


@contextmanager
def found_servers() -> Iterator[Servers]:
    """Find or start a Kafka and a MongoDB; end what was started."""
    if KAFKA in os.environ and MONGO in os.environ:
        yield Servers(os.environ[KAFKA], os.environ[MONGO], "yours")
    elif os.environ.get("JOURNEY_PROGRESS_TEST_KAFKA") == "apache":
        with embedded_mongo() as (mongo_url, mongo), apache_kafka() as (kafka, broker):
            yield Servers(kafka, mongo_url, "Apache Kafka, embedded mongod", broker, mongo)
    elif _docker_answers():
        with (
            KafkaContainer("apache/kafka:4.1.0") as kafka,
            MongoDbContainer("mongo:8").with_command("--replSet rs0") as mongo,
        ):
            mongo.exec(["mongosh", "--eval", "rs.initiate()"])
            yield Servers(
                kafka.get_bootstrap_server(), f"{mongo.get_connection_url()}/?directConnection=true", "containers"
            )
    else:
        with embedded_mongo() as (mongo_url, mongo), embedded_kafka() as (kafka, broker):
            yield Servers(kafka, mongo_url, "embedded", broker, mongo)


def _docker_answers() -> bool:
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False  # docker's client would leave a socket open when nobody answers
    try:
        client = docker.from_env(timeout=2)
    except DockerException:
        return False
    with client:
        return bool(client.ping())
