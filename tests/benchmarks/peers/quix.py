"""The job on Quix Streams: a streaming dataframe that matches, and a sink that writes at every checkpoint.

At least once: a checkpoint flushes its sinks, then commits the offsets; what the sink raises aborts it, the program
ends, and what is not committed comes again. The sink is Quix's own pattern for databases (`BatchingSink`). Its state
stores are not used: a keyed one would repartition the topic and keep every document twice, in RocksDB with a changelog
beside MongoDB, which is slower than reading the batch's documents in one query. Lacks what `job.py` says.
"""

from datetime import UTC, datetime
from typing import Any

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from processor.settings import Settings
from tests.benchmarks.peers.database import open_synchronously
from tests.benchmarks.peers.job import BATCH, LINGER, Job, read


class ProgressSink(BatchingSink):  # type: ignore[misc]  # its class is unknown where the peers are not installed
    """Folds the matched statements of a checkpoint into MongoDB, and publishes."""

    def __init__(self, settings: Settings, application: Application, job: Job, progresses: Any) -> None:
        super().__init__()
        self._settings = settings
        self._producer = application.get_producer()
        self._job = job
        self._progresses = progresses

    def write(self, batch: SinkBatch) -> None:
        """Write one checkpoint's statements of a partition."""
        matched = self._job.match(item.value for item in batch)
        found = self._progresses.find({"_id": {"$in": list(matched.appends)}}) if matched.appends else ()
        writes, events = self._job.decide(matched.appends, found, datetime.now(UTC))
        if writes:
            self._progresses.bulk_write(writes, ordered=False)
        for event in events:
            self._producer.produce(
                self._settings.progress_topic, key=event.key, value=event.value, headers=event.headers
            )
        for value, reason in matched.unusable:
            self._producer.produce(self._settings.dead_letters_topic, value=value, headers={"reason": reason})
        if self._producer.flush():
            raise RuntimeError("not every message was acknowledged")


def run(settings: Settings) -> None:
    """Run until SIGTERM."""
    application = Application(
        broker_address=settings.kafka_bootstrap_servers,
        consumer_group=settings.consumer_group,
        auto_offset_reset="earliest",
        commit_every=BATCH,
        commit_interval=LINGER,
        consumer_poll_timeout=LINGER,
        auto_create_topics=False,
        use_changelog_topics=False,
        producer_extra_config={"enable.idempotence": True, "compression.type": settings.kafka_compression},
        loglevel="WARNING",
    )
    with open_synchronously(settings) as (journeys, progresses):
        job = Job(journeys)
        statements = application.dataframe(application.topic(settings.statements_topic, value_deserializer="bytes"))
        statements.apply(read).filter(job.concerns).sink(ProgressSink(settings, application, job, progresses))
        application.run()
