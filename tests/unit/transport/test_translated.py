"""What an error of Kafka means: passing, or the operator's; never "this is a bug"."""

import pytest
from aiokafka import errors as kafka

from processor.errors import BrokerUnavailable, Misfit
from processor.transport.connect import translated


def test_a_broken_answer_passes() -> None:
    with pytest.raises(BrokerUnavailable), translated():
        raise kafka.CorruptRecordException


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (kafka.InvalidSessionTimeoutError, "JOURNEY_PROGRESS_SESSION_TIMEOUT"),
        (kafka.InconsistentGroupProtocolError, "JOURNEY_PROGRESS_CONSUMER_GROUP"),
        (kafka.InvalidGroupIdError, "JOURNEY_PROGRESS_CONSUMER_GROUP"),
        (kafka.InvalidTimestampError, "clock"),
    ],
)
def test_what_the_operator_mends_is_said(error: type[kafka.KafkaError], names: str) -> None:
    with pytest.raises(Misfit, match=names), translated():
        raise error
