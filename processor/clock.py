"""The time of day. Whoever needs it is given a clock, so that tests and the simulation can hold it still."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, UTC, truncated to milliseconds (what BSON can hold)."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)
