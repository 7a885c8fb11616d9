"""Processes as the workers of a stage: how they start, what goes between, and how they end.

Arrays go as descriptors of the memory they lie in, when that is shared memory or a mapped file, and
the other process maps it; any other array is copied once, into shared memory. Everything else is
pickled.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from spanflow import _crossing
from spanflow._core import (
    Array,
    PipelineError,
    _map_shared,
    _share,
    dtype,
    frombuffer,
    shared_empty,
)
from spanflow._text import descr
from spanflow._workers import Bound, Workers, handler_of

_HEADER: Final = struct.Struct("<Q")  # bytes of the message behind it
_FIRST: Final = 16 << 10  # bytes that are asked for at first
_MOST_DESCRIPTORS: Final = 200  # the system takes 253 in one message
_SLICE: Final = 40  # ms between two looks at whether the run has ended
_PATIENCE: Final = 0.05  # s that an idle process has to end by itself

Packed = tuple[bytes, list[Array], list[Array]]


class Channel:
    """One end of a socket that takes packed values.

    `wait(events)` returns when the socket is ready, or raises.
    """

    def __init__(self, end: socket.socket, wait: Callable[[int], None]):
        self.end = end
        self.wait = wait
        end.setblocking(False)

    def send(self, packed: Packed) -> None:
        data, arrays, buffers = packed
        descriptors: list[int] = []
        try:
            places = [_place(array, descriptors) for array in (*arrays, *buffers)]
            message = _crossing.pickle.dumps((data, places, len(arrays)))
            self._send(_HEADER.pack(len(message)) + message, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def receive(self) -> Any:
        """The next value; EOFError when there is no other end any more."""
        descriptors: list[int] = []
        try:
            # Nobody sends twice without an answer, so what comes belongs to this message.
            start = self._receive(descriptors)
            while len(start) < _HEADER.size:
                start += self._receive(descriptors)
            (length,) = _HEADER.unpack_from(start)
            message = bytearray(_HEADER.size + length)
            message[: len(start)] = start
            self._receive_into(memoryview(message)[len(start) :])
            data, places, arrays = _crossing.pickle.loads(memoryview(message)[_HEADER.size :])
            made = [_array_at(place, descriptors) for place in places]
        finally:
            for descriptor in descriptors:  # those that no array took over
                os.close(descriptor)
        return _crossing.unpack_in_process(data, made[:arrays], made[arrays:])

    def _send(self, data: bytes, descriptors: list[int]) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[socket.send_fds(self.end, [rest], descriptors) :]
            except BlockingIOError:
                self.wait(select.POLLOUT)
            else:
                descriptors = []  # they go with the first byte

    def _receive(self, descriptors: list[int]) -> bytes:
        while True:
            try:
                data, more, _, _ = socket.recv_fds(
                    self.end, _FIRST, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                self.wait(select.POLLIN)
                continue
            except ConnectionError as error:
                raise EOFError from error
            descriptors += more
            if not data:
                raise EOFError
            return data

    def _receive_into(self, rest: memoryview) -> None:
        while rest:
            try:
                got = self.end.recv_into(rest)
            except BlockingIOError:
                self.wait(select.POLLIN)
                continue
            except ConnectionError as error:
                raise EOFError from error
            if got == 0:
                raise EOFError
            rest = rest[got:]


def _place(array: Array, descriptors: list[int]) -> tuple[Any, ...]:
    """Where the other process finds the array; its descriptor is the next of `descriptors`."""
    form = (descr(array.dtype) if array.dtype.names else array.dtype.str, array.shape)
    if array.nbytes <= _crossing.SMALL or len(descriptors) == _MOST_DESCRIPTORS:
        return (*form, array.tobytes())
    shared = _share(array)
    if shared is None:
        copy = shared_empty(array.shape, array.dtype)
        copy[...] = array
        array, shared = copy, _share(copy)
        assert shared is not None
    descriptors.append(shared[0])
    return (*form, *shared[1:], array.strides)


def _array_at(place: tuple[Any, ...], descriptors: list[int]) -> Array:
    form, shape, *where = place
    if len(where) == 1:
        return frombuffer(where[0], form).reshape(shape).copy()
    readonly, offset, nbytes, first, strides = where
    return _map_shared(
        descriptors.pop(0), readonly, offset, nbytes, first, dtype(form), shape, strides
    )


class Process:
    """A process that calls a function, for one server of a stage."""

    def __init__(self, described: Packed, workers: Workers, calls: Any):
        self.described = described
        self.timeout = workers.timeout
        self.calls = calls
        self.process: Any = None
        self.channel: Channel | None = None
        self.deadline: float | None = None
        self._start()

    def __call__(self, *values: Any) -> Any:
        packed = _crossing.pack_for_process(values)
        if self.channel is None:
            self._start()
        self._await_start()
        self.deadline = None if self.timeout is None else time.monotonic() + self.timeout
        return self._ask(packed)

    def close(self) -> None:
        self._end(patience=_PATIENCE)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            context = multiprocessing.get_context("spawn")
            self.process = context.Process(
                target=_main, args=(theirs,), name="spanflow-worker", daemon=True
            )
            self.process.start()
            # Only we end it: a child that is forked later would end all that it finds here.
            multiprocessing.process._children.discard(self.process)  # type: ignore[attr-defined]
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel = Channel(ours, self._wait)
        self.ready = False

    def _await_start(self) -> None:
        """The function is imported there: that is no part of a call's time."""
        if self.ready:
            return
        self.deadline = None
        self._ask(self.described)
        self.ready = True

    def _ask(self, packed: Packed) -> Any:
        assert self.channel is not None
        try:
            self.channel.send(packed)
            value, failed = self.channel.receive()
        except TimeoutError:
            self._end()
            raise
        except (EOFError, ConnectionError):
            raise PipelineError(self._why_ended()) from None
        except BaseException:
            self._end()
            raise
        if failed:
            raise _crossing.unpack(value, ())
        return value

    def _wait(self, events: int) -> None:
        assert self.channel is not None
        poll = select.poll()
        poll.register(self.channel.end, events)
        poll.register(self.process.sentinel, select.POLLIN)
        while True:
            ready = dict(poll.poll(self._slice()))
            if self.channel.end.fileno() in ready:
                return
            if ready:
                raise EOFError  # a process that it started may still hold the other end
            if self.calls.stopped:
                raise PipelineError("the run has ended")
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise TimeoutError(
                    f"the call took longer than {self.timeout} s (timeout=); its process was ended"
                )

    def _slice(self) -> float:
        if self.deadline is None:
            return _SLICE
        return min(_SLICE, max(0.0, self.deadline - time.monotonic()) * 1000 + 1)

    def _why_ended(self) -> str:
        code = self._end(patience=1.0)
        if not self.ready and code >= 0:
            return (
                f"a worker process ended with exit code {code} before it could begin: what it "
                "wrote to stderr says why. A program that uses processes needs "
                '`if __name__ == "__main__":`'
            )
        if code >= 0:
            return f"a worker process ended with exit code {code} during a call"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "no name"
        hint = "; the system does so when memory runs out" if code == -signal.SIGKILL else ""
        return f"a worker process was killed by signal {-code} ({name}) during a call{hint}"

    def _end(self, patience: float = 0.0) -> int:
        """Ends the process, at once or when it did not end by itself in time. Its exit code."""
        if self.channel is None:
            return 0
        self.channel.end.close()
        self.channel = None
        if patience:
            self.process.join(patience)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code: int = self.process.exitcode
        self.process.close()
        return code


def described(bound: Bound) -> Packed:
    """A stage's function for its processes."""
    return _crossing.pack_for_process(bound)


def handler(described: Packed, workers: Workers, calls: Any) -> Callable[..., Any]:
    """What a server calls."""
    return handler_of(calls, Process(described, workers, calls), workers)


# ---- in the process ----


def _main(end: socket.socket) -> None:
    # Ctrl-C reaches every process of a terminal: the one that waits for us answers it. We were
    # started by a thread that takes no signals; from here on they are as usual.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    poll = select.poll()

    def wait(events: int) -> None:
        poll.register(end, events)
        poll.poll()

    channel = Channel(end, wait)
    bound: Bound | None = None
    try:
        while True:
            bound, reply = _answer(channel, bound)
            channel.send(reply)
    except (EOFError, ConnectionError):
        pass  # nobody is there any more


def _answer(channel: Channel, bound: Bound | None) -> tuple[Bound | None, Packed]:
    """Receives the function first, then values for it."""
    try:
        received = channel.receive()
        if bound is None:
            return received.ready(), _crossing.pack_for_process((None, False))
        result = bound(*received)
        del received
        return bound, _crossing.pack_for_process((result, False))
    except EOFError:
        raise
    except BaseException as error:
        return bound, _crossing.pack_for_process((_crossing.pack_error(error), True))
