import os
import sys
import time

import pytest


@pytest.fixture(autouse=True)
def switch_often():
    """On builds with a GIL the threads change places much more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def count_run_threads():
    count = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                count += file.read() == "spanflow-run\n"
        except OSError:  # it ended meanwhile
            continue
    return count


@pytest.fixture
def run_threads():
    """A function that counts the threads of runs; there are none before the test."""
    end = time.monotonic() + 10
    while count_run_threads() and time.monotonic() < end:
        time.sleep(0.005)
    assert count_run_threads() == 0
    return count_run_threads
