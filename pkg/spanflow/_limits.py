"""Arguments that are checked the same way everywhere: numbers within limits, sizes, times."""

from __future__ import annotations

import operator
from typing import Any, Final

_UNITS: Final = {
    "": 1,
    "b": 1,
    **{f"{p}b": 1000 ** (i + 1) for i, p in enumerate("kmgt")},
    **{f"{p}ib": 1024 ** (i + 1) for i, p in enumerate("kmgt")},
}
_LONGEST_SECONDS: Final = 10**9


def bytes_of(memory: int | str | None, name: str = "memory") -> int:
    """A size as a number of bytes; 0 for None."""
    if memory is None:
        return 0
    if isinstance(memory, str):
        text = memory.lower().strip()
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        unit = text[len(number) :].strip()
        if unit not in _UNITS or not number.replace(".", "", 1).isdecimal():
            raise ValueError(
                f'{name} must be bytes or a size such as "512MB" or "1GiB", got {memory!r}'
            )
        nbytes = float(number) * _UNITS[unit]
        memory = int(nbytes) if nbytes < 2**63 else 2**63
    return integer_of(name, memory, 1)


def nanoseconds_of(timeout: float | None) -> int:
    """Seconds as nanoseconds; 0 for None."""
    if timeout is None:
        return 0
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, got {timeout!r}")
    if not 0 < timeout <= _LONGEST_SECONDS:
        raise ValueError(
            f"timeout must be more than 0 and at most {_LONGEST_SECONDS} seconds, got {timeout!r}"
        )
    return max(int(timeout * 1e9), 1)


def seed_of(seed: int | None) -> int | None:
    return None if seed is None else integer_of("seed", seed, -(2**63), 2**64)


def integer_of(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    """An integer within limits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {number}")
    return number
