"""A real Apache Kafka broker (KRaft, one node) from the jars that `make test-apache` fetched."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.embedded.process import ServerProcess, answers, free_port, server_directory

JARS = Path(__file__).parent / "jars"
CLUSTER = "am91cm5leS1wcm9ncmVzcw"

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={directory}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def apache_kafka() -> Iterator[tuple[str, ServerProcess]]:
    """Format a fresh log directory and start the broker; yield its bootstrap address and process."""
    if not any(JARS.glob("kafka_*.jar")):
        pytest.fail("tests/apache/jars has no broker: run `make test-apache`, which fetches it with Maven")
    port, controller = free_port(), free_port()
    with server_directory("kafka") as directory:
        properties = directory / "server.properties"
        properties.write_text(PROPERTIES.format(port=port, controller=controller, directory=directory))
        java = ["java", "-Xmx512m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*"]
        java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        java += [f"-Djava.io.tmpdir={directory}"]  # a killed JVM leaves the libraries it unpacked
        formatted = subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties)],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            pytest.fail(f"Kafka's StorageTool failed: {formatted.stdout}{formatted.stderr}")
        process = ServerProcess(
            "Apache Kafka", [*java, "kafka.Kafka", str(properties)], directory, lambda: answers(port)
        )
        process.start()
        try:
            yield f"127.0.0.1:{port}", process
        finally:
            process.stop()
