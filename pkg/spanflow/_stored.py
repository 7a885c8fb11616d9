"""Items in a file, of which the arrays can be mapped: the pipeline's cache(path).

The file is a mark, then for each item its buffers (at multiples of 64 bytes) and its pickle without
them, then an index (a pickle: who made it; for each item the place of the pickle and of its
buffers) and at the very end the index's place, its length and the mark again. It appears under its
name when it is complete.
"""

from __future__ import annotations

import builtins
import itertools
import os
import pickle
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, Final

from spanflow._core import open

_MARK: Final = b"spanflow items 1"
_END: Final = struct.Struct("<QQ16s")
_ALIGNMENT: Final = 64
_numbers: Final = itertools.count()

_Place = tuple[int, int]  # offset and length


def write(path: str, made_by: str, items: Iterable[Any]) -> Iterator[Any]:
    """Passes the items on while it writes them; the file is there when all have come."""
    unfinished = f"{path}.{os.getpid()}-{next(_numbers)}.tmp"  # a killed process leaves its own
    try:
        with builtins.open(unfinished, "wb") as file:
            file.write(_MARK)
            index = []
            for item in items:
                index.append(_write_item(file, item))
                yield item
            place = _append(file, pickle.dumps((_text(made_by), index), protocol=5))
            file.write(_END.pack(*place, _MARK))
        os.replace(unfinished, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise


def read(path: str, made_by: str) -> Iterator[Any]:
    """The items; arrays are views of the mapped file."""
    whole = open(path, dtype="u1")
    size = len(whole)
    begin, length, mark = 0, 0, b""
    if size >= len(_MARK) + _END.size and whole[: len(_MARK)].tobytes() == _MARK:
        begin, length, mark = _END.unpack(whole[size - _END.size :].tobytes())
    if mark != _MARK or begin + length + _END.size != size:
        raise ValueError(f"{path} is no cache of a pipeline, or not complete: remove it")
    maker, index = pickle.loads(whole[begin : begin + length].tobytes())
    if maker != _text(made_by):
        raise ValueError(
            f"{path} is the cache of another pipeline; remove it or give another path\n"
            f"it was made by\n{maker}\nand this is\n{_text(made_by)}"
        )
    for place, buffers in index:
        data = [memoryview(whole[at : at + nbytes]) for at, nbytes in buffers]
        yield pickle.loads(whole[place[0] : sum(place)].tobytes(), buffers=data)


def _write_item(file: IO[bytes], item: Any) -> tuple[_Place, list[_Place]]:
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(item, protocol=5, buffer_callback=buffers.append)
    places = []
    for buffer in buffers:
        file.write(b"\0" * (-file.tell() % _ALIGNMENT))
        with buffer.raw() as raw:
            places.append(_append(file, raw))
    return _append(file, text), places


def _append(file: IO[bytes], data: Any) -> _Place:
    return file.tell(), file.write(data)


def _text(made_by: str) -> str:
    """Without what differs from time to time: addresses, what caches in it have kept, widths."""
    without = re.sub(r" at 0x[0-9a-f]+|(?<=cache\()\d+ items(?=\))", "", made_by)
    return re.sub(" {2,}", "  ", without)
