"""Each setting reaches the policy that it is of, and the times that rely on each other keep their order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from pydantic import SecretStr

from processor.core.decode import Tenancy
from processor.core.identity import Identification
from processor.core.policy import FoldingPolicy
from processor.policies import (
    folding_policy,
    ingest_policy,
    recalculating_policy,
    recalculation_policy,
    trust,
    woken_again,
)
from processor.settings import Settings

ORGANISATION, STORE = f"{1:024x}", f"{2:024x}"
TIMES = [{}, {"journeys_poll": 0.5}, {"journeys_poll": 300.0}, {"lease": 90.0}]


def the_settings(**changes: Any) -> Settings:
    url = SecretStr("mongodb://mongo/?replicaSet=rs0")
    return Settings(_env_file=None, kafka_bootstrap_servers="kafka:9092", mongo_url=url, **changes)


@pytest.mark.parametrize("times", TIMES, ids=str)
def test_i1_a_recalculation_reads_nothing_before_every_look_from_before_it_has_twice_run_out(
    times: dict[str, float],
) -> None:
    """Else what a process passes over, as it has not heard of the recalculation, would not be read again."""
    settings = the_settings(**times)
    poll = timedelta(seconds=settings.journeys_poll)
    for policy in (recalculation_policy(settings), recalculating_policy(settings)):
        assert policy.known_after >= 2 * trust(settings)
        assert policy.known_after >= 2 * poll
    assert trust(settings) >= poll, "it is looked three times in each"


@pytest.mark.parametrize("times", TIMES, ids=str)
def test_p3_what_a_change_concerns_is_woken_again_when_all_know_it_and_no_older_lease_is_left(
    times: dict[str, float],
) -> None:
    settings = the_settings(**times)
    poll, lease = timedelta(seconds=settings.journeys_poll), timedelta(seconds=settings.lease)
    assert recalculation_policy(settings).lease == lease
    assert woken_again(settings) >= 2 * poll + lease


@pytest.mark.parametrize("name", ["lowercase_actors", "count_group_members"])
def test_how_actors_are_told_apart(name: str) -> None:
    settings = the_settings(**{name: True})
    assert ingest_policy(settings).identification == Identification(**{name: True})
    assert recalculating_policy(settings).identification == Identification(**{name: True})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("surplus_limit", 7),
        ("lateness_horizon", timedelta(hours=36)),
        ("duration_unit", "milliseconds"),
        ("document_bytes", 2_048),
    ],
)
def test_how_evidence_is_folded(name: str, value: Any) -> None:
    assert folding_policy(the_settings(**{name: value})) == replace(FoldingPolicy(), **{name: value})


def test_whose_statements_are_that_do_not_say_it() -> None:
    assert ingest_policy(the_settings()).tenancy == Tenancy(None, None)
    named = the_settings(default_organisation=ORGANISATION, default_store=STORE)
    assert ingest_policy(named).tenancy == Tenancy(organisation=ObjectId(ORGANISATION), store=ObjectId(STORE))


def test_the_budget_and_the_rate() -> None:
    settings = the_settings(rejection_budget=0.25, rejection_window=77, recalculate_rate=123.0)
    budget = ingest_policy(settings).budget
    assert (budget.share, budget.window) == (0.25, 77)
    assert recalculating_policy(settings).rate == 123.0
