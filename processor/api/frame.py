"""What goes around every request: its path in the one spelling, headers, a log line, and errors nobody foresaw."""

import time
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processor.api.errors import bug
from processor.metrics import Metrics

SPELLINGS: Final = {
    name.lower(): name
    for name in (
        "api",
        "cancelrecalculatejourney",
        "connection",
        "count",
        "docs",
        "explain",
        "health",
        "journey",
        "journeyProgress",
        "live",
        "metrics",
        "openapi.json",
        "ready",
        "recalculatejourney",
        "v2",
    )
}
"""Names in paths, which match case-insensitively as Express does."""

HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
}
NOTHING_LOADS: Final = "default-src 'none'; frame-ancestors 'none'"
DOCS_LOAD: Final = (
    f"{NOTHING_LOADS}; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    "script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net"
)


class Frame:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = canonical(scope["path"])
        scope.setdefault("state", {})
        answer = _Answer(send, DOCS_LOAD if scope["path"] == "/docs" else NOTHING_LOADS)
        if scope["method"] == "HEAD":  # RFC 9110, 9.3.2: as GET, without what it would send
            answer.has_body = False
            scope = {**scope, "method": "GET"}
        started = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            if answer.status is not None:  # too late to say anything else; the connection is cut
                raise
            await bug(Request(scope))(scope, receive, answer.send)
        finally:
            self._account(scope, answer, time.perf_counter() - started)

    def _account(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.requests.labels(route, str(answer.status)).inc()
        self._metrics.request_seconds.observe(seconds)
        if route.startswith("/health") or route == "/metrics":
            return
        state = scope["state"]
        structlog.get_logger(__name__).info(
            "request",
            method=scope["method"] if answer.has_body else "HEAD",
            path=scope["path"],
            status=answer.status,
            milliseconds=round(seconds * 1000, 1),
            client=state.get("client"),
            **({"errorId": state["error_id"]} if "error_id" in state else {}),
        )


class _Answer:
    """Passes an answer on with our headers, and remembers its status."""

    def __init__(self, send: Send, policy: str) -> None:
        self._send = send
        self._policy = policy
        self.status: int | None = None
        self.has_body = True

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = self._policy
        elif not self.has_body:
            message = {**message, "body": b""}
        await self._send(message)


def canonical(path: str) -> str:
    """Return a path in the one spelling: names as they are written here, no slash at the end."""
    parts = [SPELLINGS.get(part.lower(), part) for part in path.split("/")]
    return "/".join(parts).rstrip("/") or "/"
