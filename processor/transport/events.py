"""Progress-updated events as CloudEvents on Kafka: `ports.EventSink` (semantics.md, section 7)."""

import asyncio
from binascii import hexlify
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import zip_longest
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from bson import ObjectId
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from msgspec import to_builtins

from processor.core.evidence import ProgressEvent
from processor.errors import BrokerUnavailable
from processor.transport.apart import produce_apart
from processor.transport.batches import Message
from processor.transport.producer import Producer, is_about_the_message
from schemas.events import EVENT_SCHEMA, EVENT_SOURCE, EVENT_TYPE


class _AsWritten(JSONFormat):
    """The outbox holds the data as JSON bytes already: a repeat is the same to the letter (R1)."""

    def write_data(self, data: object, datacontenttype: str | None = None) -> bytes:  # noqa: ARG002
        assert isinstance(data, bytes)
        return data


_FORMAT = _AsWritten()


def bound(event: ProgressEvent) -> Message:
    """Return the Kafka message of an event as the library binds it: CloudEvents 1.0, binary binding."""
    progress = str(event.progress)
    attributes = {
        "id": f"{progress}-{event.revision}",
        "source": EVENT_SOURCE,
        "type": EVENT_TYPE,
        "specversion": "1.0",
        "subject": progress,
        "time": event.time,
        "datacontenttype": "application/json",
        "dataschema": EVENT_SCHEMA,
        "sequence": str(event.revision),
        **({"replay": "true"} if event.replay else {}),
    }
    message: KafkaMessage = to_binary(CloudEvent(attributes, event.data), _FORMAT)
    return Message(message.value, progress.encode(), list(message.headers.items()))


_USUAL: Final = bound(ProgressEvent(ObjectId(), 1, datetime.now(UTC), b"{}", replay=False)).headers
"""What the headers of all events have in common, and their order."""

_ID, _SUBJECT, _TIME, _SEQUENCE = map(
    [name for name, _ in _USUAL].index, ("ce_id", "ce_subject", "ce_time", "ce_sequence")
)


def message_of(event: ProgressEvent) -> Message:
    """Return the Kafka message of an event: CloudEvents 1.0, binary binding, key = progress id.

    The attributes `id` (progress id and revision) and `sequence` (the revision) tell a repeat (R1, R2). The same as
    `bound`, whose checks of every attribute of every event would take four times as long as the rest.
    """
    progress = hexlify(event.progress.binary)
    headers = [*_USUAL]
    headers[_ID] = "ce_id", b"%s-%d" % (progress, event.revision)
    headers[_SUBJECT] = "ce_subject", progress
    headers[_TIME] = "ce_time", _time(event.time)
    headers[_SEQUENCE] = "ce_sequence", b"%d" % event.revision
    if event.replay:
        headers.append(("ce_replay", b"true"))
    return Message(event.data, progress, headers)


@lru_cache(maxsize=8)
def _time(value: datetime) -> bytes:
    """Write when an event came to be: those of one write have the same."""
    written: str = to_builtins(value.astimezone(UTC))
    return written.encode()


class KafkaEventSink:
    """Publishes to one topic."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        """Publish each document's events in revision order; see `ports.EventSink.publish` (R2).

        In waves: the first event of every document, then the second, …; a document whose event failed is left
        out of the later ones. An outage after the first wave, or the end of the time for a delivery, ends the work
        with what was acknowledged.
        """
        published: dict[ObjectId, int] = {}
        failed: set[ObjectId] = set()
        until = self._producer.deadline()
        for wave in zip_longest(*outboxes.values()):
            events = [event for event in wave if event and event.progress not in failed]
            if published and asyncio.get_running_loop().time() >= until:
                break
            try:
                messages = [message_of(event) for event in events]
                outcomes = await produce_apart(self._producer, self._topic, messages, until)
            except BrokerUnavailable:
                if not published:
                    raise
                break
            for event, failure in zip(events, outcomes, strict=True):
                if failure is None:
                    published[event.progress] = event.revision
                    continue
                failed.add(event.progress)
                _tell(event, failure)
        return published


def _tell(event: ProgressEvent, failure: KafkaError) -> None:
    """Log what waiting mends as a warning, and what it does not (the event is too large) as an error."""
    log = structlog.get_logger(__name__)
    about = {"progress": str(event.progress), "revision": event.revision, "bytes": len(event.data)}
    if is_about_the_message(failure):
        log.error("event refused, its document publishes nothing more until it fits", **about, error=str(failure))
    else:
        log.warning("event not acknowledged, tried again after the lease", **about, error=str(failure))
