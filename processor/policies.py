"""Settings to the policies that the services, and what stands above them, go by."""

from datetime import timedelta

from bson import ObjectId

from processor.core.decode import Tenancy
from processor.core.identity import Identification
from processor.core.policy import FoldingPolicy
from processor.core.rejections import RejectionBudget
from processor.services.ingest import IngestPolicy
from processor.services.recalculation import RecalculatingPolicy
from processor.settings import Settings
from processor.store.recalculations import RecalculationPolicy


def ingest_policy(settings: Settings) -> IngestPolicy:
    """Return the settings that reading a statement depends on."""
    return IngestPolicy(
        tenancy=Tenancy(
            organisation=_object_id(settings.default_organisation), store=_object_id(settings.default_store)
        ),
        identification=Identification(
            lowercase_actors=settings.lowercase_actors, count_group_members=settings.count_group_members
        ),
        budget=RejectionBudget(settings.rejection_budget, settings.rejection_window),
    )


def folding_policy(settings: Settings) -> FoldingPolicy:
    """Return the settings that the fold depends on."""
    return FoldingPolicy(
        surplus_limit=settings.surplus_limit,
        lateness_horizon=settings.lateness_horizon,
        duration_unit=settings.duration_unit,
        document_bytes=settings.document_bytes,
    )


def recalculation_policy(settings: Settings) -> RecalculationPolicy:
    """Return how long a recalculation is held by who works on it, and when it may begin."""
    return RecalculationPolicy(lease=timedelta(seconds=settings.lease), known_after=_known_after(settings))


def recalculating_policy(settings: Settings) -> RecalculatingPolicy:
    """Return how a recalculation reads, and how fast."""
    return RecalculatingPolicy(
        identification=ingest_policy(settings).identification,
        rate=settings.recalculate_rate,
        known_after=_known_after(settings),
        patience=timedelta(seconds=settings.lease) * 3,
    )


def trust(settings: Settings) -> timedelta:
    """Return how long a look at the recalculations holds good; after twice as long at the earliest one reads (I1)."""
    return timedelta(seconds=settings.journeys_poll)


def woken_again(settings: Settings) -> timedelta:
    """Return after how long what a change concerns is woken once more: all know of it, and no older lease is left."""
    return _known_after(settings) + timedelta(seconds=settings.lease)


def _known_after(settings: Settings) -> timedelta:
    """A saved journey is known everywhere after one polling interval; twice as long, as a batch may be in hand."""
    return timedelta(seconds=settings.journeys_poll) * 2


def _object_id(text: str | None) -> ObjectId | None:
    return ObjectId(text) if text else None
