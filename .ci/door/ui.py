"""What the front door shows: a line per step, a live status on a terminal, a log for the rest."""

import os
import shlex
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "logs"
TAIL_LINES = 40
HEARTBEAT_SECONDS = 20


class DoorError(Exception):
    """A failure that has a clear message; `code` becomes the exit code of setup.py."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def say(message):
    print(f"==> {message}", flush=True)


def note(message):
    print(f"    {message}", flush=True)


@contextmanager
def step(title):
    """Announces a step and says how long it took."""
    say(title)
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    if seconds >= 0.5:
        note(f"done in {seconds:.1f} s")


class _Status:
    """One line that changes in place on a terminal; elsewhere a line now and then."""

    def __init__(self):
        self._live = sys.stdout.isatty()
        self._start = time.monotonic()
        self._last = self._start if not self._live else 0.0

    def show(self, line):
        now = time.monotonic()
        if now - self._last < (0.1 if self._live else HEARTBEAT_SECONDS):
            return
        self._last = now
        text = f"    {now - self._start:5.0f} s  {line.strip()}"
        if self._live:
            width = os.get_terminal_size().columns - 1
            sys.stdout.write("\r\x1b[2K" + text[:width])
            sys.stdout.flush()
        else:
            print(text[:110], flush=True)

    def clear(self):
        if self._live:
            sys.stdout.write("\r\x1b[2K")
            sys.stdout.flush()


def run_logged(name, command, *, env=None, cwd=ROOT):
    """Runs a long command into build/logs/NAME.log; shows its last lines when it fails."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"{name}.log"
    status = _Status()
    tail = deque(maxlen=TAIL_LINES)
    command = [str(part) for part in command]
    with open(log_path, "w", encoding="utf-8") as log:
        log.write(f"$ {shlex.join(command)}\n")
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise DoorError(f"{command[0]} does not start: {error}") from None
        with process:
            for line in process.stdout:
                log.write(line)
                tail.append(line)
                if line.strip():
                    status.show(line)
    status.clear()
    if process.returncode != 0:
        sys.stdout.writelines(_first_error(log_path, tail))
        shown = log_path.relative_to(ROOT)
        raise DoorError(f"{name} failed (exit code {process.returncode}); the whole log is {shown}")


def _first_error(log_path, tail):
    """The lines after Ninja's first FAILED, which pip's own words would push out of the tail."""
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for at, line in enumerate(lines):
        if line.lstrip().startswith("FAILED: "):
            return lines[at : at + TAIL_LINES]
    return tail


def run_shown(command, *, env=None, cwd=ROOT):
    """Runs a command whose output is the point of the verb; returns its exit code."""
    command = [str(part) for part in command]
    sys.stdout.flush()
    return subprocess.run(command, env=env, cwd=cwd, check=False).returncode


def answer(command, *, env=None):
    """The stripped standard output of a quick command, or None when it fails or does not exist."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
