"""Settings to the policies that the services, and what stands above them, go by."""

from datetime import timedelta

from bson import ObjectId

from processor.core.decode import Tenancy
from processor.core.identity import Identification
from processor.core.promotion import FoldingPolicy
from processor.core.rejections import RejectionBudget
from processor.services.ingest import IngestPolicy
from processor.services.recalculation import RecalculatingPolicy
from processor.settings import Settings
from processor.store.recalculations import RecalculationPolicy


def ingest_policy(settings: Settings) -> IngestPolicy:
    """Return the settings that reading a statement depends on."""
    return IngestPolicy(
        tenancy=Tenancy(_object_id(settings.default_organisation), _object_id(settings.default_store)),
        identification=Identification(settings.lowercase_actors, settings.count_group_members),
        budget=RejectionBudget(settings.rejection_budget, settings.rejection_window),
    )


def folding_policy(settings: Settings) -> FoldingPolicy:
    """Return the settings that the fold depends on."""
    return FoldingPolicy(
        settings.surplus_limit, settings.lateness_horizon, settings.duration_unit, settings.document_bytes
    )


def recalculation_policy(settings: Settings) -> RecalculationPolicy:
    """Return how long a recalculation is held by who works on it, and when it may begin."""
    return RecalculationPolicy(timedelta(seconds=settings.lease), _known_after(settings))


def recalculating_policy(settings: Settings) -> RecalculatingPolicy:
    """Return how a recalculation reads, and how fast."""
    return RecalculatingPolicy(
        identification=ingest_policy(settings).identification,
        rate=settings.recalculate_rate,
        known_after=_known_after(settings),
        patience=timedelta(seconds=settings.lease) * 3,
    )


def _known_after(settings: Settings) -> timedelta:
    """A saved journey is known everywhere after one polling interval; twice as long, as a batch may be in hand."""
    return timedelta(seconds=settings.journeys_poll) * 2


def _object_id(text: str | None) -> ObjectId | None:
    return ObjectId(text) if text else None
