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
"""Connections at once, or strangers could use up the files of the process; who is silent makes room for who comes."""

ANSWERING = (h11.SEND_RESPONSE, h11.SEND_BODY)
"""There is a request, and its answer is not complete."""


class Bounded(H11Protocol):
    """HTTP/1.1 that hangs up where no request comes, or no answer is taken. Who answers has the time that it takes."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    silent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for the first request.

        Of too many connections, the one that has asked for nothing for longest is hung up on: were it the one that
        comes, silent strangers could keep probes away. It is, where all others are answered.
        """
        super().connection_made(transport)
        self.silent_since = self.loop.time()
        self._begin_to_wait()
        if len(self.connections) > CONNECTIONS:
            silent = [it for it in self.connections if isinstance(it, Bounded) and it.is_silent]
            min(silent, key=lambda it: it.silent_since, default=self).transport.close()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self.silent_since = self.loop.time()
        super().on_response_complete()

    @property
    def is_silent(self) -> bool:
        """Whether the next request is waited for: it has not come, or not all of its head, and no answer is left."""
        is_answered = self.conn.our_state not in ANSWERING and not self.transport.get_write_buffer_size()
        return is_answered and not self.transport.is_closing()

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
