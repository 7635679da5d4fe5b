"""Runs a server, and ends its whole process group when this pipe closes: `python watchdog.py DIRECTORY COMMAND…`.

The parent holds the other end of standard input; it closes by itself however the parent ends, kill -9 included. Some
servers are launchers (the broker's command is one): ending the group leaves no grandchild behind. A line `kill`,
`stop` or `cont` on standard input sends that signal to the group. If the parent is gone, DIRECTORY is removed at the
end, provided that its name ends in `.journey-progress`.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

GRACE = 10.0
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "cont": signal.SIGCONT, "term": signal.SIGTERM}


def main() -> int:
    """Run the server until standard input closes or it ends by itself; return its exit status."""
    directory, *command = sys.argv[1:]
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C in the terminal is the parent's to act on
    with (Path(directory) / "server.log").open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - the command is ours
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=directory
        )
    threading.Thread(target=_obey, args=(server,), daemon=True).start()
    status = server.wait()
    _signal(server, signal.SIGKILL)  # what a launcher left behind
    if os.getppid() != parent and directory.endswith(".journey-progress"):  # nobody is left to remove it
        shutil.rmtree(directory, ignore_errors=True)
    return status


def _obey(server: "subprocess.Popen[bytes]") -> None:
    for line in sys.stdin:
        _signal(server, SIGNALS[line.strip()])
    _signal(server, signal.SIGCONT)
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE)
    _signal(server, signal.SIGKILL)


def _signal(server: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main())
