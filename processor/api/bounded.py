"""Connections as uvicorn keeps them, but bounded: how many there may be, and how long one may wait for its request."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from processor.probes import CALL_SECONDS

HEAD_SECONDS = CALL_SECONDS
"""What the head of a request may take to come, and after an early answer the rest of its body."""

CONNECTIONS = 512
"""Connections at once; whoever comes on top is hung up on, or strangers could use up the files of the process."""

ANSWERING = (h11.SEND_RESPONSE, h11.SEND_BODY)
"""There is a request, and its answer is not complete."""


class Bounded(H11Protocol):
    """HTTP/1.1 that hangs up where no request comes. While one is answered its time is the application's."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for the first request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.close()
        else:
            self._begin_to_wait()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request: it is waited for from its first byte until its head is there.

        Between two requests, as long as nothing comes at all, uvicorn waits `timeout_keep_alive` seconds.
        """
        super().data_received(data)
        if self.conn.our_state in ANSWERING:
            self._wait_no_more()
        elif self._deadline is None:
            self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget about it."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _begin_to_wait(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
