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

# A second door that asks who is there: user `writer`, password `secret`, over PLAIN or SCRAM-SHA-512.
GUARDED = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL_PLAINTEXT://127.0.0.1:{guarded}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{guarded}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_writer="secret";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
"""
MODULES = "org.apache.kafka.common.security"
USER = "SCRAM-SHA-512=[name=writer,password=secret]"


@contextmanager
def apache_kafka(guarded: int | None = None) -> Iterator[tuple[str, ServerProcess]]:
    """Format a fresh log directory and start the broker; yield its bootstrap address and process.

    With `guarded` it has a second listener on that port, which asks for a password.
    """
    if not any(JARS.glob("kafka_*.jar")):
        pytest.fail("tests/apache/jars has no broker: run `make test-apache`, which fetches it with Maven")
    port, controller = free_port(), free_port()
    with server_directory("kafka") as directory:
        properties = directory / "server.properties"
        lines = PROPERTIES.format(port=port, controller=controller, directory=directory)
        if guarded:  # of two lines with the same key, the later counts
            lines += GUARDED.format(port=port, controller=controller, guarded=guarded, modules=MODULES)
        properties.write_text(lines)
        java = ["java", "-Xmx512m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*"]
        java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        java += [f"-Djava.io.tmpdir={directory}"]  # a killed JVM leaves the libraries it unpacked
        formatted = subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties), "--add-scram", USER],
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
            process.close()
