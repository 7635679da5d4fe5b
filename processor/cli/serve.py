"""`serve`: the HTTP interfaces alone."""

import typer

from processor.app import serve_interfaces
from processor.cli.console import Asked, http_module, run, settings_of
from processor.cli.running import stop_at_signals
from processor.settings import Settings


def serve(context: typer.Context) -> None:
    """Serve the HTTP interfaces on HTTP_HOST and HTTP_PORT: journeyProgress, journey, explain, health, `/docs`.

    Reads and writes MongoDB only. `run` serves them too, beside its loops, with HTTP_API=true. Both need the extra
    `http`. SIGTERM and Ctrl-C finish the requests in hand.
    """
    run(_until_signalled(settings_of(context, Asked.MONGODB)))


async def _until_signalled(settings: Settings) -> None:
    await serve_interfaces(settings, http_module("server").outside(settings), stop_at_signals())
