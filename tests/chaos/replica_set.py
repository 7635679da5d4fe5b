"""Three embedded mongods as one replica set, whose primary can be made to fall."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from processor.embedded.process import ServerProcess, answers, free_port, server_directory
from processor.embedded.servers import mongod_program

NAME = "chaos"
MEMBERS = 3
SETTINGS = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
ELECTION_DEADLINE = 60.0


class ReplicaSet:
    """The members by port; each can be killed and brought back with its data."""

    def __init__(self, members: dict[int, ServerProcess]) -> None:
        self.members = members

    @property
    def url(self) -> str:
        """The connection string."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.members)
        return f"mongodb://{hosts}/?replicaSet={NAME}"

    def form(self) -> None:
        """Initiate the set and wait for its primary."""
        hosts = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self.members)]
        with _client(next(iter(self.members))) as client:
            client.admin.command("replSetInitiate", {"_id": NAME, "members": hosts, "settings": SETTINGS})
        self.primary()

    def primary(self) -> int:
        """Return the primary's port, waiting out an election."""
        deadline = time.monotonic() + ELECTION_DEADLINE
        while time.monotonic() < deadline:
            for port in self.members:
                try:
                    with _client(port) as client:
                        if client.admin.command("hello")["isWritablePrimary"]:
                            return port
                except PyMongoError:
                    continue
            time.sleep(0.1)
        raise TimeoutError("no primary was elected")

    def step_down(self) -> None:
        """Ask the primary to step down; what it thinks of that (it closes its connections) does not matter."""
        with _client(self.primary()) as client:
            try:
                client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
            except PyMongoError:
                return


@contextmanager
def replica_set() -> Iterator[ReplicaSet]:
    """Start the members and form the set; end them at the end."""
    with ExitStack() as stack:
        members: dict[int, ServerProcess] = {}
        for number in range(MEMBERS):
            port = free_port()
            directory = stack.enter_context(server_directory(f"mongo-{number}"))
            command = [
                str(mongod_program()),
                *("--dbpath", str(directory), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"),
                *("--replSet", NAME, "--oplogSize", "256", "--wiredTigerCacheSizeGB", "0.25"),
            ]
            members[port] = ServerProcess("mongod", command, directory, partial(answers, port))
            members[port].start()
            stack.callback(members[port].close)
        found = ReplicaSet(members)
        found.form()
        yield found


def _client(port: int) -> "MongoClient[dict[str, Any]]":
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=2_000, connectTimeoutMS=2_000)
