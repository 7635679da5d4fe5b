"""Producing what a broker may refuse: it refuses a whole batch, for one message in it or for all of them together."""

from collections.abc import Sequence

from aiokafka import errors as kafka

from processor.errors import BrokerUnavailable
from processor.transport.batches import Message
from processor.transport.producer import Producer, is_about_the_message


async def produce_apart(
    producer: Producer, topic: str, messages: Sequence[Message], until: float | None = None
) -> list[kafka.KafkaError | None]:
    """Produce as `Producer.produce` does, and what is refused for its size again, in halves: what fits gets through.

    So a message that is still refused was refused alone. Raises what `produce` raises; that a half found no broker is
    the outcome of its messages.
    """
    outcomes = await producer.produce(topic, messages, until)
    refused = [number for number, failure in enumerate(outcomes) if failure and is_about_the_message(failure)]
    if len(refused) < 2:
        return outcomes
    for half in (refused[: len(refused) // 2], refused[len(refused) // 2 :]):
        try:
            again = await produce_apart(producer, topic, [messages[number] for number in half], until)
        except BrokerUnavailable as error:
            again = [kafka.KafkaConnectionError(str(error))] * len(half)
        for number, outcome in zip(half, again, strict=True):
            outcomes[number] = outcome
    return outcomes


async def publish(producer: Producer, topic: str, messages: Sequence[Message]) -> list[str | None]:
    """Produce records apart; return for each None once it is acknowledged, or why the broker will never take it.

    Raises `BrokerUnavailable` when others were not acknowledged, or `Misfit`.
    """
    outcomes = await produce_apart(producer, topic, messages)
    missing = [failure for failure in outcomes if failure and not is_about_the_message(failure)]
    if missing:
        raise BrokerUnavailable(
            f"{len(missing)} of the last {len(messages)} records were not acknowledged: {missing[0]}; "
            "doing it again is harmless"
        )
    return [str(failure) if failure else None for failure in outcomes]
