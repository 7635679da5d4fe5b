"""Where a measurement takes place: nowhere that somebody else uses."""

import pytest

from processor.benching import grounds
from processor.errors import InvalidInput
from processor.settings import Settings

THEIRS = Settings(_env_file=None, kafka_bootstrap_servers="kafka:9092", mongo_url="mongodb://mongo")


def test_every_name_is_its_own() -> None:
    own = grounds(THEIRS, "measured", 50_000)
    names = ("statements_topic", "progress_topic", "dead_letters_topic", "consumer_group", "mongo_database")
    assert all(getattr(own, name).startswith("measured") for name in names)
    assert own.batch_records == THEIRS.batch_records
    assert grounds(THEIRS, "measured", 500).batch_records == 100


@pytest.mark.parametrize("prefix", ["", "a.b", "a b", "a/b", "$x", "é", "x" * 51])
def test_a_prefix_must_be_a_name_for_all_of_them(prefix: str) -> None:
    with pytest.raises(InvalidInput, match="--prefix"):
        grounds(THEIRS, prefix, 50_000)
