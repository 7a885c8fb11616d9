"""Settings in the environment: followed, or a warning says what is used instead."""

import os
import subprocess
import sys

import pytest

import spanflow as sf

ASK = "import spanflow as sf; print(sf.simd.target(), sf.get_num_threads())"


def run(code=ASK, **variables):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize("name", sf.simd.targets())
@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_a_target_in_any_case(name, change):
    (target, _), warned = run(SPANFLOW_SIMD_TARGET=change(name))
    assert target == name and warned == ""


def test_a_target_that_is_not_there():
    (target, _), warned = run(SPANFLOW_SIMD_TARGET="FOO")
    assert target == sf.simd.targets()[0]
    assert "RuntimeWarning: SPANFLOW_SIMD_TARGET is 'FOO'" in warned and target in warned


@pytest.mark.parametrize("given", ["abc", "0", "-3", "4.5", "99999"])
def test_a_number_of_threads_that_is_none(given):
    (_, threads), warned = run(SPANFLOW_NUM_THREADS=given)
    assert f"SPANFLOW_NUM_THREADS is '{given}'" in warned
    assert "from 1 to 1024" in warned and f"using {threads} threads" in warned


def test_a_way_to_pin_that_is_none():
    _, warned = run(SPANFLOW_PIN_THREADS="yes")
    assert "SPANFLOW_PIN_THREADS is 'yes', but it must be 0 or 1" in warned


@pytest.mark.parametrize("given", ["0", "1"])
def test_pinned_workers_stay_on_one_core(given):
    code = """
import os, spanflow as sf
sf.sum(sf.ones(8 << 20))
for task in os.listdir("/proc/self/task"):
    if open(f"/proc/self/task/{task}/comm").read().startswith("spanflow-"):
        print(len(os.sched_getaffinity(int(task))))
"""
    said, warned = run(code, SPANFLOW_NUM_THREADS="3", SPANFLOW_PIN_THREADS=given)
    cores = 1 if given == "1" else len(os.sched_getaffinity(0))
    assert said and set(said) == {str(cores)} and warned == ""


def test_what_can_be_followed_warns_of_nothing():
    (_, threads), warned = run(SPANFLOW_NUM_THREADS="3", SPANFLOW_SIMD_TARGET="")
    assert threads == "3" and warned == ""


def test_without_settings_nothing_is_imported_for_them():
    code = "import sys, spanflow; print('spanflow._settings' in sys.modules)"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SPANFLOW_")}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True)
    assert done.stdout == "False\n"
