"""Commands in processes of their own: started, watched, killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ENTRY = "from spectralot.cli import main; main()"
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


@contextmanager
def folder():
    """A folder that is removed at the end."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def start(*args, cwd, **environment):
    """A command in a session of its own, which Ctrl-C reaches as from a keyboard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else it may be ignored
    try:
        return subprocess.Popen(
            [sys.executable, "-c", ENTRY, *map(str, args)], cwd=cwd, start_new_session=True,
            env=os.environ | ONE_THREAD | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def finish(process, within=600):
    """Its exit status, what it printed and what it complained of."""
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def run(*args, cwd, **environment):
    """The same for a command that nothing disturbs, which must end well; returns its seconds."""
    began = time.monotonic()
    status, _, err = finish(start(*args, cwd=cwd, **environment))
    assert (status, err) == (0, ""), (args, status, err)
    return time.monotonic() - began


def members(session):
    """Processes of a session that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until_gone(session, within=60):
    """Nobody of the session may stay behind."""
    end = time.monotonic() + within
    while left := members(session):
        assert time.monotonic() < end, f"{len(left)} processes outlive the one that started them"
        time.sleep(0.02)


def heeds(process, number):
    """Whether it has a handler of its own for a signal."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> number - 1 & 1)
