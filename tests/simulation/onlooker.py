"""Judges offsets as they are committed and events as they are published, whoever did it and whatever became of him."""

from dataclasses import dataclass, field

from processor.testing.group import MemoryGroup
from tests.simulation.ledger import Ledger
from tests.simulation.scenario import Message, Scenario

LETTERS, PROGRESS = "dead-letters", "progress"


@dataclass
class Onlooker:
    """Sees the topics and the group from outside. `sent` is what lies in the statements topic, by place."""

    scenario: Scenario
    group: MemoryGroup
    ledger: Ledger
    sent: dict[tuple[int, int], Message] = field(default_factory=dict)
    _read: dict[int, int] = field(default_factory=dict)
    _committed: dict[int, int] = field(default_factory=dict)

    def look(self, *, is_faultless: bool) -> None:
        """Judge what is new since the last look."""
        for partition, offset in self.group.committed.items():
            for number in range(self._committed.get(partition, 0), offset):
                self._judge_commit(partition, number)
            self._committed[partition] = max(offset, self._committed.get(partition, 0))
        for partition in range(self.group.broker.partitions):
            log = self.group.broker.log(PROGRESS, partition)
            for record in log[self._read.get(partition, 0) :]:
                key, revision = (record.key or b"").decode(), int(dict(record.headers)["ce_sequence"])
                self._judge_event(key, revision, record.value, is_faultless)
            self._read[partition] = len(log)

    @property
    def parked(self) -> set[tuple[int, int, int | None]]:
        """What lies in the dead letters: (partition, offset, item)."""
        found = set()
        for record in self.group.broker.records(LETTERS):
            why = {name.removeprefix("dead-letter-"): value.decode() for name, value in record.headers}
            found.add((int(why["partition"]), int(why["offset"]), int(why["item"]) if "item" in why else None))
        return found

    def _judge_commit(self, partition: int, offset: int) -> None:
        message = self.sent[partition, offset]
        for progress, waypoints in self.scenario.evidence(message.statements).items():
            for waypoint, items in waypoints.items():
                if self.ledger.not_appended(progress, waypoint, items):
                    self.ledger.broken("I1", f"offset {partition}-{offset} is committed, its evidence is not durable")
        for item in message.poison:
            if (partition, offset, item) not in self.parked:
                self.ledger.broken("I3", f"offset {partition}-{offset} is committed, its poison is not parked")

    def _judge_event(self, key: str, revision: int, data: bytes | None, is_faultless: bool) -> None:
        highest = self.ledger.published.get(key, 0)
        if self.ledger.landed.get((key, revision)) != data:
            self.ledger.broken("R1", f"event {key}-{revision} was published, but no promotion has landed with it")
        elif revision > highest + 1:
            self.ledger.broken("R2", f"event {key}-{revision} was published after {highest}")
        elif revision <= highest and is_faultless:
            self.ledger.broken("R2", f"event {key}-{revision} was repeated without a fault")
        self.ledger.published[key] = max(highest, revision)
