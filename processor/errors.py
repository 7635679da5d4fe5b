"""Every error of the processor, as one tree; each class says what it means for the caller.

::

    JourneyProgressError
    ├── Unavailable              retriable: wait and try again; nothing was decided
    │   ├── StoreUnavailable     MongoDB does not answer, or has no primary
    │   ├── DocumentFull         a progress document takes no more evidence until a promoter has folded some
    │   ├── DocumentBroken       a progress document was edited so that it takes none until somebody mends it
    │   └── BrokerUnavailable    Kafka does not answer, or has no leader
    ├── InvalidSettings          the start stops: the setting's name and the mend are in the message
    ├── Misfit                   a server that works but is not fit: missing topic, standalone mongod, no rights
    ├── InvalidInput             a file, an argument of a command or a request cannot be used
    │   ├── NotFound             there is no such document in the caller's organisation
    │   └── InvalidRecalculation the journey is being recalculated already, or is not running
    ├── NobodyRecalculates       a recalculation waits: no running process does them
    ├── RejectionBudgetSpent     more of the stream cannot be used than REJECTION_BUDGET allows
    ├── OutputUnwritable         there is no room for what a command prints
    ├── EmbeddedUnavailable      the embedded servers cannot run on this machine
    └── LoopDied                 a loop ended with an error that nobody foresaw: a bug

`retriable` is an attribute of the class, so that no caller keeps a list. `exit_code` is the process's exit
status, after BSD's sysexits.h: 65 data, 69 unavailable, 70 software, 74 output, 78 configuration.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Self


class JourneyProgressError(Exception):
    """Root of the tree. The message is one clear sentence with the remedy in it."""

    retriable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70


class Unavailable(JourneyProgressError):
    """A server did not answer. Whether the operation was done is unknown: every operation can be repeated."""

    retriable = True
    exit_code = 69


class StoreUnavailable(Unavailable):
    """MongoDB does not answer, or has no primary at the moment."""


class DocumentFull(Unavailable):
    """A progress document holds as much evidence as MongoDB takes: its promoters are far behind, or none is running."""


class DocumentBroken(Unavailable):
    """Progress documents were edited by hand so that nothing can be added to them; only who edited them can mend that.

    `documents` are their ids.
    """

    def __init__(self, message: str, documents: Collection[Any] = ()) -> None:
        super().__init__(message)
        self.documents = documents

    @classmethod
    def of(cls, documents: Collection[Any]) -> Self:
        """Name one of them, and the mend."""
        return cls(
            f"progress document {next(iter(documents))} (of {len(documents)}) was edited so that it takes no evidence: "
            "mend it, or delete it and recalculate its journey; what is for it waits until then",
            documents,
        )


class BrokerUnavailable(Unavailable):
    """Kafka does not answer, or a partition has no leader at the moment."""


class InvalidSettings(JourneyProgressError):
    """A setting is missing or wrong; the message names it and says how to mend it."""

    exit_code = 78


class Misfit(JourneyProgressError):
    """A server answers but is not fit for the job: a topic is missing, mongod is standalone, rights are missing."""

    exit_code = 78


class InvalidInput(JourneyProgressError):
    """A file or an argument given to a command, or a request to an interface, cannot be used as it is."""

    exit_code = 65


class NotFound(InvalidInput):
    """There is no such document, as far as the caller may know: it may be another organisation's."""


class InvalidRecalculation(InvalidInput):
    """The journey is being recalculated already, or it is inactive or broken."""

    @classmethod
    def of(cls, journey: object) -> "InvalidRecalculation":
        """Say so in Learning Locker's words."""
        return cls(f"Journey ({journey}) not available for recalculation")


class NobodyRecalculates(JourneyProgressError):
    """A recalculation was asked for, and no process has taken it up, or all that did have died."""

    exit_code = 69


class RejectionBudgetSpent(JourneyProgressError):
    """More of the last records cannot be used than the setting allows; of the batch in hand nothing was done."""

    exit_code = 65


class OutputUnwritable(JourneyProgressError):
    """A disk or a quota is full, mostly the one that a command prints to; what it did besides is done."""

    exit_code = 74


class EmbeddedUnavailable(JourneyProgressError):
    """The embedded servers cannot run here; the message names the alternatives."""

    exit_code = 69


class LoopDied(JourneyProgressError):
    """A loop of the processor ended with an error that nobody foresaw; the log holds its traceback."""
