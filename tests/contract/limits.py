"""A topic that somebody made for smaller messages."""

from aiokafka.admin import NewTopic

from processor.settings import Settings
from processor.transport.admin import open_admin


async def create_with_limit(settings: Settings, topic: str, limit: int) -> None:
    """Make a topic of which the broker refuses batches of more bytes; before the others are made."""
    config = {"max.message.bytes": str(limit)}
    async with open_admin(settings) as admin:
        await admin.create_topics([NewTopic(topic, settings.topic_partitions, 1, topic_configs=config)])
