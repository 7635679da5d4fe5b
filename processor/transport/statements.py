"""Statements into the statements topic, for the command line and the demo."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from processor.errors import BrokerUnavailable, InvalidInput
from processor.settings import PREFIX
from processor.transport.producer import Message, Producer, is_about_the_message

CHUNK = 1_000

Line = tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]
"""Key, value and headers of a record."""


class KafkaStatementSink:
    """Publishes raw statements to one topic."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def publish(self, lines: Iterable[Line]) -> int:
        """Publish all lines, a chunk at a time, each acknowledged before the next is read; return how many.

        Raises `InvalidInput` when a line is too large, `BrokerUnavailable` or `Misfit`; the message says how many
        are published for sure. Publishing them again is harmless (I2).
        """
        published = 0
        for chunk in _chunks(lines):
            failures = await self._producer.produce(
                self._topic, [Message(value, key, head) for key, value, head in chunk]
            )
            published += failures.count(None)
            for failure in filter(None, failures):
                if is_about_the_message(failure):
                    raise InvalidInput(
                        f"a statement is larger than {PREFIX}KAFKA_MAX_MESSAGE_BYTES or the topic allows ({failure}); "
                        f"{published} were published"
                    )
                raise BrokerUnavailable(f"Kafka: {failure}; {published} statements were published")
        return published


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    rest = iter(lines)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
