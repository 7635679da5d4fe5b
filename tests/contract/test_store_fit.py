"""What a server has to be, and what is said of one that is not, asked of real ones."""

import gc
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from pymongo import ReadPreference

from processor.embedded.process import free_port
from processor.errors import InvalidSettings, Misfit, StoreUnavailable
from processor.settings import Settings
from processor.store.connect import Database, check_fit, open_database
from processor.store.indexes import ensure_indexes
from processor.store.progress import MongoProgressStore
from tests.builders import at
from tests.mongods import a_mongod
from tests.servers import Servers

# PyMongo 4.20 forgets a socket when it is closed while its monitor connects (PYTHON-5867).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """Find what PyMongo forgot here, and not in whatever test comes next."""
    yield
    gc.collect()


def at_url(settings: Settings, url: str, seconds: float = 5) -> Settings:
    return settings.model_copy(update={"mongo_url": SecretStr(url), "mongo_timeout": seconds})


@pytest.fixture(scope="session")
def standalone() -> Iterator[str]:
    """A mongod that is no replica set."""
    with a_mongod() as port:
        yield f"mongodb://127.0.0.1:{port}/"


async def test_the_servers_of_the_tests_are_fit(settings: Settings) -> None:
    async with open_database(settings) as database:
        await check_fit(database)


async def test_a_standalone_mongod_is_refused_with_the_remedy(settings: Settings, standalone: str) -> None:
    async with open_database(at_url(settings, standalone)) as database:
        with pytest.raises(Misfit, match=r"rs\.initiate"):
            await check_fit(database)


async def test_wrong_credentials_are_refused_and_not_waited_for(settings: Settings, servers: Servers) -> None:
    url = servers.mongo_url.replace("mongodb://", "mongodb://ana:wrong@", 1)
    async with open_database(at_url(settings, url)) as database:
        with pytest.raises(Misfit, match="user, password"):
            await check_fit(database)


async def test_a_server_that_does_not_answer_is_unavailable(settings: Settings) -> None:
    nobody = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0"
    async with open_database(at_url(settings, nobody, seconds=0.3)) as database:
        with pytest.raises(StoreUnavailable, match="Connect call failed"):
            await check_fit(database)
        with pytest.raises(StoreUnavailable):
            await MongoProgressStore(database).claim("key", at(0), at(60), 10)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mongodb://ana:s3c:ret@nowhere", "escaped"),
        ("mongodb://ana:12/s3cret@nowhere/", "escaped"),
        ("mongodb://ana:s3cret@nowhere/?authMechanismProperties=AWS_SESSION_TOKEN:s3,cret:x", "escaped"),
        ("mongodb://ana:s3cret@nowhere/?tls=true&tlsCAFile=/absent.pem", "No such file or directory: '/absent.pem'"),
        (f"mongodb://ana:s3cret@nowhere/?tls=true&tlsCAFile={__file__}", "no certificate"),
        ("mongodb://ana:s3cret@nowhere/?replicaSt=rs0", "Unknown option: replicast"),
        ("mongodb://ana:s3cret@nowhere/?w=foo&journal=x", "journal must be"),
    ],
)
async def test_a_url_that_cannot_be_used_names_the_setting(settings: Settings, url: str, fault: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"^JOURNEY_PROGRESS_MONGO_URL cannot be used: .*{fault}") as raised:
        async with open_database(at_url(settings, url)):
            pass
    assert not any(piece in str(raised.value) for piece in ("s3", "cret", "ana"))


async def test_no_write_is_repeated_by_the_driver_whatever_the_url_says(settings: Settings) -> None:
    """As Atlas writes its addresses; it would cost mongod a fifth more."""
    async with open_database(at_url(settings, "mongodb://127.0.0.1:1/?retryWrites=true&w=majority")) as database:
        assert not database.client.options.retry_writes


@pytest.mark.parametrize("name", ["a.b", "a b", "x" * 64])
async def test_a_database_that_cannot_be_names_the_setting(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^JOURNEY_PROGRESS_MONGO_DATABASE cannot be used: "):
        async with open_database(settings.model_copy(update={"mongo_database": name})) as database:
            await check_fit(database)


async def test_a_database_that_differs_by_case_alone(settings: Settings, mongo_database: Database) -> None:
    with pytest.raises(InvalidSettings, match=r"^JOURNEY_PROGRESS_MONGO_DATABASE cannot be used: "):
        async with open_database(settings.model_copy(update={"mongo_database": mongo_database.name.upper()})) as other:
            await ensure_indexes(other)


async def test_a_name_that_nobody_resolves_is_waited_for(settings: Settings) -> None:
    """RFC 6761 keeps `.invalid` from ever being there; a resolver that is away says no more than that."""
    async with open_database(at_url(settings, "mongodb+srv://ana:s3cret@nowhere.invalid/", seconds=1)) as database:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="MongoDB: ") as raised:
                await check_fit(database)
            assert "s3cret" not in str(raised.value)


async def test_the_url_cannot_weaken_the_guarantees(settings: Settings, servers: Servers) -> None:
    separator = "&" if "?" in servers.mongo_url else "?"
    weak = f"{servers.mongo_url}{separator}w=1&journal=false&readPreference=secondary&readConcernLevel=available"
    async with open_database(at_url(settings, weak)) as database:
        assert database.write_concern.document == {"w": "majority", "j": True, "wtimeout": 5000}
        assert database.read_preference == ReadPreference.PRIMARY
        assert database.read_concern.level == "local"
        assert database.codec_options.tz_aware
