"""What `bench` does for a MongoDB user who may read and write in its database, and nothing else."""

from pydantic import SecretStr
from pymongo import MongoClient

from processor.settings import Settings
from processor.transport.topics import present_topics
from tests.acceptance.commands import ran


async def test_who_may_read_and_write_there_measures_and_leaves_nothing(settings: Settings, guarded: int) -> None:
    """Neither the server's status is theirs to ask for, nor may they drop a database, or see another."""
    prefix, url = settings.mongo_database, "mongodb://{}:secret@127.0.0.1:{}/?replicaSet=rs0&authSource=admin"
    with MongoClient[dict[str, object]](url.format("root", guarded)) as client:
        client.admin.command("createUser", prefix, pwd="secret", roles=[{"role": "readWrite", "db": prefix}])
    theirs = settings.model_copy(update={"mongo_url": SecretStr(url.format(prefix, guarded)), "mongo_database": "away"})
    done = await ran(theirs, "bench", "--statements=600", "--match-rate=0.5", f"--prefix={prefix}")
    assert done.returncode == 0, done.stderr
    assert "it does not say (role clusterMonitor)" in done.stdout
    assert done.stderr.endswith("removing what was made …\n"), done.stderr  # what is left would be told after that
    with MongoClient[dict[str, object]](url.format("root", guarded)) as client:
        assert prefix not in client.list_database_names()
    assert not [name for name in await present_topics(settings) if name.startswith(prefix)]
