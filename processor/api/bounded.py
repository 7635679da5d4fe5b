"""Connections as uvicorn keeps them, but bounded: how many there may be, and how long one may wait for its request."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from processor.probes import CALL_SECONDS

READ_SECONDS = 60.0
"""Who takes nothing of an answer for so long is hung up on."""

HEAD_SECONDS = CALL_SECONDS
"""What the head of a request may take to come, and after an early answer the rest of its body."""

CONNECTIONS = 512
"""Connections at once; whoever comes on top is hung up on, or strangers could use up the files of the process."""

ANSWERING = (h11.SEND_RESPONSE, h11.SEND_BODY)
"""There is a request, and its answer is not complete."""


class Bounded(H11Protocol):
    """HTTP/1.1 that hangs up where no request comes, or no answer is taken. Who answers has the time that it takes."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

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
        self._look_no_more()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to look whether anything is taken of what is not sent yet."""
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        """It was taken."""
        self._look_no_more()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up; what of the last answer is not taken by then is waited for as before."""
        super().timeout_keep_alive_handler()
        self._look_again()

    def _look_again(self) -> None:
        self._look_no_more()
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(READ_SECONDS, self._look, left)

    def _look(self, left: int) -> None:
        if self.transport.get_write_buffer_size() < left:
            self._look_again()
        else:
            self.transport.abort()

    def _look_no_more(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _begin_to_wait(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
