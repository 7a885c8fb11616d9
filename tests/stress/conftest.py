import sys
import time

import pytest

from tests.crash import process


@pytest.fixture(autouse=True)
def switch_often():
    """On builds with a GIL the threads change places much more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def run_threads():
    """A function that counts the threads of runs; there are none before the test."""
    end = time.monotonic() + 10
    while process.run_threads() and time.monotonic() < end:
        time.sleep(0.005)
    assert process.run_threads() == 0
    return process.run_threads
