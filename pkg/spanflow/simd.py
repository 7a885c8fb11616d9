"""The SIMD instruction sets (Highway targets) that kernels are compiled for.

targets() lists what this machine and build have, best first; target() is the one in use; use(name)
switches for the length of a with block, for tests and measurements. The switch is process-wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spanflow import _core

__all__ = ["target", "targets", "use"]


def targets() -> list[str]:
    """The targets that kernels can run on here, best first, such as ['AVX3', 'AVX2', 'SSE4']."""
    return _core._simd_targets()


def target() -> str:
    """The target in use."""
    return _core._simd_target()


@contextmanager
def use(name: str) -> Iterator[None]:
    """Run kernels on another target inside the block. ValueError for one that is not there."""
    before = target()
    _core._use_simd_target(name)
    try:
        yield
    finally:
        _core._use_simd_target(before)
