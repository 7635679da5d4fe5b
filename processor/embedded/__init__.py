"""A real mongod and a Kafka-protocol broker on this machine, for the demo and the tests. No Docker.

Whatever happens to the process that started them, they end and their data goes: see `process.py`.
"""

from processor.embedded.process import ServerProcess
from processor.embedded.servers import Servers, embedded_kafka, embedded_mongo, embedded_servers

__all__ = ["ServerProcess", "Servers", "embedded_kafka", "embedded_mongo", "embedded_servers"]
