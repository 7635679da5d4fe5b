"""Events are bound as the CloudEvents library binds them."""

from datetime import timedelta

import pytest
from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.transport.events import bound, message_of
from tests.builders import START


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize("revision", [1, 12_345_678])
@pytest.mark.parametrize("after", [0, 0.001, 59.999, 86_400])
def test_a_message_is_the_librarys_to_the_byte(after: float, revision: int, replay: bool) -> None:
    time = START + timedelta(seconds=after)
    event = ProgressEvent(ObjectId(), revision, time, b'{"isCompleted":true}', replay)
    assert message_of(event) == bound(event)
