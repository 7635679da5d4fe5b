"""What the simulation has found: seeds and the fewest faults that showed it. They run first.

A world is drawn from its seed: whoever changes how it is drawn (`scenario.py`, `schedule.py`, `scheduler.py`,
`world.py`) makes other worlds of these seeds. The mutations in `test_teeth.py` are what stays.
"""

from tests.simulation.schedule import Fault, Kind, Schedule

REGRESSIONS: tuple[tuple[int, Schedule, str], ...] = (
    (1, (), "an outbox that an earlier claim had emptied was leased again and again, and held its next event back"),
    (20050, (Fault(92, Kind.AWAY, 45),), "an outage swallowed the change of a journey that had just been heard of"),
)
