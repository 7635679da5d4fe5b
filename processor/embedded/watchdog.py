"""Runs a server, and ends its whole process group when this pipe closes: `python watchdog.py DIRECTORY COMMAND…`.

The parent holds the other end of standard input; it closes by itself however the parent ends, kill -9 included. Ending
the group leaves no grandchild behind where the command is a launcher. The parent starts this script in a session of its
own, so that what kills the parent's whole group does not kill the watchdog too.

Lines on standard input: `kill`, `stop` and `cont` send that signal to the group; `end` ends it and keeps its data.
When the pipe closes the data goes too, as nobody else may be left to see to that: DIRECTORY is removed here, provided
that its name ends in `.journey-progress`. What the server writes goes where this script's output goes.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE = 10.0
TEMPORARY = ".journey-progress"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "cont": signal.SIGCONT}


def main() -> int:
    """Run the server until standard input closes or it ends by itself; return its exit status."""
    directory, *command = sys.argv[1:]
    server = subprocess.Popen(  # noqa: S603 - the command is ours
        command, stdin=subprocess.DEVNULL, start_new_session=True, cwd=directory
    )
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # passed on; ignored, a JVM would inherit the deafness
        signal.signal(number, lambda received, _frame: _signal(server, received))
    closed = threading.Event()
    threading.Thread(target=_obey, args=(server, closed), daemon=True).start()
    status = server.wait()
    _signal(server, signal.SIGKILL)  # what a launcher left behind
    if closed.is_set() and directory.endswith(TEMPORARY):
        shutil.rmtree(directory, ignore_errors=True)
    return status


def _obey(server: "subprocess.Popen[bytes]", closed: threading.Event) -> None:
    for line in sys.stdin:
        order = line.strip()
        if order == "end":
            break
        _signal(server, SIGNALS[order])
    else:
        closed.set()
    _signal(server, signal.SIGCONT)  # a frozen one could not hear the next
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE)
    _signal(server, signal.SIGKILL)


def _signal(server: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main())
