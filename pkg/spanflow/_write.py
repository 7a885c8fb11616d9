"""Sinks of files: what a pipeline gives, written as .npy or raw bytes, whole or in shards."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from spanflow._core import Array, _npy_header, asarray

_MOST_ROWS = 10**18


def write(items: Iterable[Any], path: Any, rows: int | None) -> list[Path]:
    """Writes arrays behind one another along their first axis; returns the files.

    A file appears under its name when it is complete. `rows`: of each file, whose names are then
    made by path.format(number).
    """
    target = os.fspath(path)
    if rows is None:
        return [_write_file(map(asarray, items), Path(target))]
    if target.format(0) == target.format(1):
        raise ValueError(
            f"write(rows=) needs a path with a place for the number of the file, such as "
            f'"part-{{:05}}.npy", got {target!r}'
        )
    arrays = _Arrays(items)
    files: list[Path] = []
    while not files or arrays.has_more():
        files.append(_write_file(arrays.take(rows), Path(target.format(len(files)))))
    return files


class _Arrays:
    """Arrays as one long one, which is taken piece by piece."""

    def __init__(self, items: Iterable[Any]):
        self.items = iter(items)
        self.rest: Array | None = None

    def has_more(self) -> bool:
        while self.rest is None or len(self.rest) == 0:
            item = next(self.items, None)
            if item is None:
                return False
            self.rest = asarray(item)
        return True

    def take(self, rows: int) -> Iterator[Array]:
        while rows > 0 and self.has_more():
            assert self.rest is not None
            piece = self.rest[:rows]
            self.rest = self.rest[rows:]
            rows -= len(piece)
            yield piece


def _write_file(arrays: Iterable[Array], path: Path) -> Path:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with builtins.open(unfinished, "xb") as file:
            first, rows = _write_arrays(file, arrays, path.suffix == ".npy")
            if path.suffix == ".npy":
                file.seek(0)
                file.write(_header(first, rows))
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.add_note(f"while writing {path}")
        raise
    return path


def _write_arrays(file: IO[bytes], arrays: Iterable[Array], npy: bool) -> tuple[Array, int]:
    """Returns the first array and the number of rows of all."""
    first, rows = None, 0
    for array in arrays:
        if array.ndim == 0:
            raise ValueError("write() puts arrays behind one another, but a 0-d array has no rows")
        if first is None:
            first = array[:0].copy()
            if npy:
                file.write(_header(first, 0))
        if array.dtype != first.dtype or array.shape[1:] != first.shape[1:]:
            raise ValueError(
                "write() needs arrays that differ in their first axis only, got "
                f"{first.dtype} {first.shape} and then {array.dtype} {array.shape}"
            )
        whole = array if array.c_contiguous else array.copy()
        file.write(memoryview(whole).cast("B"))  # type: ignore[arg-type]
        rows += len(array)
    if first is None:
        raise ValueError("write() got no items, so that there is no dtype to write")
    return first, rows


def _header(first: Array, rows: int) -> bytes:
    """What stands in front of the data, as long for any number of rows."""
    header = _npy_header(first.dtype, (rows, *first.shape[1:]))
    missing = len(_npy_header(first.dtype, (_MOST_ROWS, *first.shape[1:]))) - len(header)
    version = header[:8]
    size_bytes = 2 if version[6] == 1 else 4
    text = header[8 + size_bytes : -1] + b" " * missing + b"\n"
    return version + len(text).to_bytes(size_bytes, "little") + text
