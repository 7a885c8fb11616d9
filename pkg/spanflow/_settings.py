"""Warns of settings in the environment that cannot be followed. Imported only when one is there."""

from __future__ import annotations

import os
import warnings

from spanflow import _core

_MOST_THREADS = 1024


def warn() -> None:
    """A RuntimeWarning for each setting that is not followed; an empty one counts as not given."""
    target = os.environ.get("SPANFLOW_SIMD_TARGET", "")
    targets = _core._simd_targets()
    if target and target.upper() not in targets:
        _warn("SIMD_TARGET", target, f"one of {', '.join(targets)}", _core._simd_target())
    threads = os.environ.get("SPANFLOW_NUM_THREADS", "")
    if threads and not (threads.isdecimal() and 1 <= int(threads) <= _MOST_THREADS):
        allowed = f"a whole number from 1 to {_MOST_THREADS}"
        _warn("NUM_THREADS", threads, allowed, f"{_core.get_num_threads()} threads")
    pinned = os.environ.get("SPANFLOW_PIN_THREADS", "")
    if pinned not in ("", "0", "1"):
        _warn("PIN_THREADS", pinned, "0 or 1", "0")


def _warn(name: str, given: str, allowed: str, used: str) -> None:
    warnings.warn(
        f"SPANFLOW_{name} is {given!r}, but it must be {allowed}; using {used}",
        RuntimeWarning,
        stacklevel=4,  # the line that imports spanflow
    )
