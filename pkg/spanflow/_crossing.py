"""How values cross to another interpreter or process: arrays as they are, the rest pickled."""

from __future__ import annotations

import io
import pickle
import traceback
from typing import Any, Final

from spanflow._core import Array, asarray

SMALL: Final = 64 << 10  # bytes that are copied rather than mapped
_NOT_HERE: Final = "does not support loading in subinterpreters"


class RemoteError(Exception):
    """Where an exception came from that was raised in another interpreter or process."""

    def __init__(self, text: str):
        self.text = text

    def __str__(self) -> str:
        return self.text


class _Packer(pickle.Pickler):
    """Leaves arrays out: each is pickled as its place in a list."""

    def __init__(self, file: Any, arrays: list[Array], buffer_callback: Any = None):
        super().__init__(file, pickle.HIGHEST_PROTOCOL, buffer_callback=buffer_callback)
        self.arrays = arrays

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, Array):
            return None
        self.arrays.append(value)
        return len(self.arrays) - 1


class _InterpreterPacker(_Packer):
    """NumPy cannot be loaded in every interpreter, so its arrays arrive as ours."""

    def persistent_id(self, value: Any) -> int | None:
        if getattr(value, "ndim", 0) != 0 and hasattr(value, "__array_interface__"):
            value = asarray(value)
        return super().persistent_id(value)


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: Any, arrays: Any, buffers: Any = None):
        super().__init__(file, buffers=buffers)
        self.arrays = arrays

    def persistent_load(self, place: int) -> Array:
        array: Array = self.arrays[place]
        return array


def pack(value: Any) -> tuple[bytes, list[Array]]:
    """The value as bytes and the arrays in it, for another interpreter."""
    arrays: list[Array] = []
    return _dump(value, _InterpreterPacker, arrays), arrays


def unpack(data: bytes, arrays: Any) -> Any:
    if not data:
        return RuntimeError("the other interpreter could not import spanflow")
    return _Unpacker(io.BytesIO(data), arrays).load()


def pack_for_process(value: Any) -> tuple[bytes, list[Array], list[Array]]:
    """The value as bytes, the arrays in it, and the large buffers of other objects in it."""
    arrays: list[Array] = []
    buffers: list[Array] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        bytes_of = buffer.raw()
        if bytes_of.nbytes <= SMALL:
            return True  # in line
        buffers.append(asarray(bytes_of))
        return False

    return _dump(value, _Packer, arrays, keep), arrays, buffers


def unpack_in_process(data: bytes, arrays: list[Array], buffers: list[Array]) -> Any:
    return _Unpacker(io.BytesIO(data), arrays, buffers).load()


def _dump(value: Any, packer: Any, *options: Any) -> bytes:
    file = io.BytesIO()
    try:
        packer(file, *options).dump(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        if isinstance(value, tuple) and value:
            value = value[0]  # the item, or the result
        raise TypeError(
            f"a {type(value).__name__} cannot go to another interpreter or process ({error}): "
            'arrays and what pickle can write do; workers="thread" takes anything'
        ) from error
    return file.getvalue()


class _Raised:
    """An exception on its way, with its traceback as text."""

    def __init__(self, error: BaseException, text: str):
        self.error = error
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return _raised, (self.error, self.text)


def _raised(error: BaseException, text: str) -> BaseException:
    error.__cause__ = RemoteError(f'\n"""\n{text}"""')
    return error


def pack_error(error: BaseException) -> bytes:
    """An exception as bytes, from which `unpack` makes it again."""
    text = "".join(traceback.format_exception(error))
    if isinstance(error, ImportError) and _NOT_HERE in text:
        error.add_note(
            "NumPy, and any extension module without support for it, cannot be loaded in an "
            'interpreter with its own GIL: workers="process" or "thread" can use it'
        )
    error.__traceback__ = None
    try:
        data = pickle.dumps(_Raised(error, text))
        pickle.loads(data)
    except Exception:  # then its name and its words must do
        data = pickle.dumps(_Raised(RuntimeError(f"{type(error).__qualname__}: {error}"), text))
    return data
