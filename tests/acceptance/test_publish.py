"""`statements publish` where some lines are too large: by our own setting, and for the topic alone."""

from pathlib import Path

import pytest

from processor.operating import create_all_topics
from processor.settings import Settings
from tests.acceptance.commands import journey_progress
from tests.acceptance.world import read_all
from tests.contract.limits import create_with_limit

SMALL = [b"%d" % number for number in range(9)]


@pytest.mark.parametrize("topic_limit", [None, 20_000])
async def test_a_line_that_is_too_large_is_named_and_the_others_are_published(
    settings: Settings, tmp_path: Path, topic_limit: int | None
) -> None:
    limit = 50_000 if topic_limit is None else 1_000_000
    settings = settings.model_copy(update={"kafka_max_message_bytes": limit, "kafka_compression": "none"})
    if topic_limit:
        await create_with_limit(settings, settings.statements_topic, topic_limit)
    await create_all_topics(settings)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*SMALL[:4], b"", b"7" * 200_000, *SMALL[4:], b"8" * 200_000]))
    done = journey_progress(settings, "statements", "publish", str(path))
    assert done.returncode == 65, done.stderr
    assert "2 lines are too large, the other 9 are published" in done.stderr
    assert "line 5 (" in done.stderr
    assert "line 11 (" in done.stderr
    assert "KAFKA_MAX_MESSAGE_BYTES" in done.stderr
    assert sorted(it.value for it in await read_all(settings, settings.statements_topic)) == SMALL
