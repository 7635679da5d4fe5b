"""Servers that several of these tests need besides the shared ones."""

import tempfile
from collections.abc import Iterator

import pytest
from pymongo import MongoClient

from tests.mongods import a_mongod


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    """A replica set of one with users: `reader`, who may only read, and `writer`; the password is `secret`."""
    with tempfile.NamedTemporaryFile("w", suffix=".key") as key:  # mongod wants it for itself: mode 600
        key.write("c2VjcmV0c2VjcmV0")
        key.flush()
        with a_mongod("--replSet", "rs0", "--auth", "--keyFile", key.name) as port:
            client: MongoClient[dict[str, object]] = MongoClient("127.0.0.1", port, directConnection=True)
            with client:
                members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
                while not client.admin.command("hello")["isWritablePrimary"]:
                    pass
                _add_user(client, "root", "root")
            client = MongoClient(f"mongodb://root:secret@127.0.0.1:{port}/?directConnection=true")
            with client:
                _add_user(client, "reader", "readAnyDatabase")
                _add_user(client, "writer", "readWriteAnyDatabase")
            yield port


def _add_user(client: "MongoClient[dict[str, object]]", name: str, role: str) -> None:
    client.admin.command("createUser", name, pwd="secret", roles=[role])
