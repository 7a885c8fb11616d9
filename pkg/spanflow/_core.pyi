"""Types of the native core. What the functions do is in their docstrings, which help() shows."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    final,
    type_check_only,
)

from typing_extensions import Buffer, disjoint_base

from spanflow._report import Report
from spanflow._workers import DeadLetter

__version__: Final[str]

class _HasArrayInterface(Protocol):
    @property
    def __array_interface__(self) -> Mapping[str, Any]: ...

class _HasDTypeStr(Protocol):
    @property
    def str(self) -> str: ...

_str: TypeAlias = str  # inside dtype, str and dtype are its properties
_dtype: TypeAlias = dtype
_Scalar: TypeAlias = bool | int | float | complex

# A sequence of anything but text: the __contains__ of str does not take every object.
@type_check_only
class _Nested(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...
    def __contains__(self, value: object, /) -> bool: ...

_ArrayLike: TypeAlias = Array | Buffer | _HasArrayInterface | _Scalar | _Nested
_DTypeLike: TypeAlias = (
    dtype
    | str
    | type
    | _HasDTypeStr
    | list[tuple[str, _DTypeLike] | tuple[str, _DTypeLike, int | tuple[int, ...]]]
    | dict[str, Any]
)
_Shape: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
_Axis: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | None
_Order: TypeAlias = Literal["C", "F"] | None
_CopyOrder: TypeAlias = Literal["C", "F", "A", "K"] | None
_Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Out: TypeAlias = Array | Buffer | None
_SortKind: TypeAlias = Literal["quicksort", "heapsort", "mergesort", "stable"] | None
_Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]

@final
class dtype:  # noqa: N801
    def __new__(cls, dtype: _DTypeLike) -> Self: ...
    @property
    def name(self) -> _str: ...
    @property
    def str(self) -> _str: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def format(self) -> _str: ...
    @property
    def kind(self) -> Literal["b", "i", "u", "f", "c", "S", "V"]: ...
    @property
    def byteorder(self) -> Literal["=", ">", "|"]: ...
    @property
    def isnative(self) -> bool: ...
    @property
    def dtype(self) -> Any: ...  # numpy.dtype
    @property
    def names(self) -> tuple[_str, ...] | None: ...
    @property
    def fields(self) -> dict[_str, tuple[_dtype, int, tuple[int, ...]]] | None: ...
    def newbyteorder(self) -> _dtype: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@disjoint_base
class Array:
    __array_interface__: Final[dict[str, Any]]
    __hash__: None  # type: ignore[assignment]
    def __new__(
        cls, obj: _ArrayLike, dtype: _DTypeLike | None = None, *, copy: bool | None = None
    ) -> Self: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> dtype: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def format(self) -> str: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def c_contiguous(self) -> bool: ...
    @property
    def f_contiguous(self) -> bool: ...
    @property
    def contiguous(self) -> bool: ...
    @property
    def T(self) -> Array: ...  # noqa: N802
    @property
    def address(self) -> int: ...
    @property
    def storage(self) -> Literal["heap", "mapped", "foreign"]: ...
    @property
    def closed(self) -> bool: ...
    def item(self, *index: Any) -> Any: ...
    def tolist(self) -> Any: ...
    def tobytes(self, order: _CopyOrder = "C") -> bytes: ...
    def copy(self, order: _CopyOrder = "C") -> Array: ...
    def astype(
        self,
        dtype: _DTypeLike,
        *,
        casting: _Casting = "unsafe",
        saturate: bool = False,
        copy: bool = True,
    ) -> Array: ...
    def byteswap(self, inplace: bool = False) -> Array: ...
    def view(self, dtype: _DTypeLike | None = None) -> Array: ...
    def reshape(self, *shape: Any) -> Array: ...
    def transpose(self, *axes: Any) -> Array: ...
    def fill(self, value: Any, /) -> None: ...
    def clip(self, lower: Any = None, upper: Any = None, out: _Out = None) -> Any: ...
    def sort(
        self,
        axis: SupportsIndex = -1,
        kind: _SortKind = None,
        *,
        descending: bool = False,
        stable: bool | None = None,
    ) -> None: ...
    def close(self) -> None: ...
    def flush(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    def __contains__(self, value: Any, /) -> bool: ...
    def __index__(self) -> int: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __iadd__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def __isub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...
    def __imul__(self, other: Any, /) -> Self: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __rtruediv__(self, other: Any, /) -> Any: ...
    def __itruediv__(self, other: Any, /) -> Self: ...
    def __floordiv__(self, other: Any, /) -> Any: ...
    def __rfloordiv__(self, other: Any, /) -> Any: ...
    def __ifloordiv__(self, other: Any, /) -> Self: ...
    def __mod__(self, other: Any, /) -> Any: ...
    def __rmod__(self, other: Any, /) -> Any: ...
    def __imod__(self, other: Any, /) -> Self: ...
    def __divmod__(self, other: Any, /) -> tuple[Any, Any]: ...
    def __rdivmod__(self, other: Any, /) -> tuple[Any, Any]: ...
    def __pow__(self, other: Any, mod: None = None, /) -> Any: ...
    def __rpow__(self, other: Any, mod: None = None, /) -> Any: ...
    def __ipow__(self, other: Any, /) -> Self: ...  # type: ignore[misc]
    def __lshift__(self, other: Any, /) -> Any: ...
    def __rlshift__(self, other: Any, /) -> Any: ...
    def __ilshift__(self, other: Any, /) -> Self: ...
    def __rshift__(self, other: Any, /) -> Any: ...
    def __rrshift__(self, other: Any, /) -> Any: ...
    def __irshift__(self, other: Any, /) -> Self: ...
    def __and__(self, other: Any, /) -> Any: ...
    def __rand__(self, other: Any, /) -> Any: ...
    def __iand__(self, other: Any, /) -> Self: ...
    def __or__(self, other: Any, /) -> Any: ...
    def __ror__(self, other: Any, /) -> Any: ...
    def __ior__(self, other: Any, /) -> Self: ...
    def __xor__(self, other: Any, /) -> Any: ...
    def __rxor__(self, other: Any, /) -> Any: ...
    def __ixor__(self, other: Any, /) -> Self: ...
    def __neg__(self) -> Any: ...
    def __abs__(self) -> Any: ...
    def __invert__(self) -> Any: ...
    def __pos__(self) -> Any: ...
    def __eq__(self, other: Any, /) -> Any: ...  # type: ignore[override]
    def __ne__(self, other: Any, /) -> Any: ...  # type: ignore[override]
    def __lt__(self, other: Any, /) -> Any: ...
    def __le__(self, other: Any, /) -> Any: ...
    def __gt__(self, other: Any, /) -> Any: ...
    def __ge__(self, other: Any, /) -> Any: ...
    def sum(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def prod(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def min(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def max(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def any(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def all(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def count_nonzero(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def count(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def mean(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def var(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def std(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def norm(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def argmin(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def argmax(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def ptp(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def skew(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def kurtosis(
        self,
        axis: _Axis = None,
        *,
        out: _Out = None,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: _ArrayLike = True,
        initial: _Scalar | None = None,
        precise: bool = False,
    ) -> Any: ...
    def cumsum(self, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
    def cumprod(self, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
    def cummin(self, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
    def cummax(self, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
    def __bytes__(self) -> bytes: ...
    def __copy__(self) -> Array: ...
    def __deepcopy__(self, memo: Any, /) -> Array: ...
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]: ...
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...
        def __release_buffer__(self, buffer: memoryview, /) -> None: ...

@final
class Operation:
    __name__: Final[str]
    __qualname__: Final[str]
    @property
    def kind(self) -> Literal["elementwise", "reduction"]: ...
    @property
    def nin(self) -> int: ...
    @property
    def types(self) -> tuple[str, ...]: ...
    @property
    def error_bound(self) -> float | None: ...
    def __call__(self, *operands: Any, **options: Any) -> Any: ...
    def __reduce__(self) -> str: ...

@final
class Compiled:
    @property
    def columns(self) -> tuple[str, ...]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __call__(
        self,
        *arrays: Any,
        out: Any = None,
        threads: int | None = None,
        **named: Any,
    ) -> Any: ...

@final
class Expression:
    __hash__: None  # type: ignore[assignment]
    __array_ufunc__: ClassVar[None]
    @property
    def columns(self) -> tuple[str, ...]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def dtype(self) -> dtype: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def compute(
        self,
        out: _Out = None,
        *,
        columns: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> Any: ...
    def explain(self, columns: Mapping[str, Any] | None = None) -> None: ...
    def _repr_html_(self) -> str: ...
    def astype(self, dtype: _DTypeLike, /) -> Expression: ...
    def clip(self, lower: Any = None, upper: Any = None) -> Expression: ...
    def sum(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def min(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def max(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def any(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def all(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def count_nonzero(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def mean(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def var(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def std(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def prod(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def count(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def norm(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def argmin(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def argmax(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def ptp(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def skew(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def kurtosis(
        self,
        axis: _Axis = None,
        *,
        keepdims: bool = False,
        ddof: float = 0,
        correction: float = 0,
        where: Any = True,
    ) -> Expression: ...
    def __getitem__(self, mask: Any, /) -> Expression: ...
    def __neg__(self) -> Expression: ...
    def __pos__(self) -> Expression: ...
    def __abs__(self) -> Expression: ...
    def __invert__(self) -> Expression: ...
    def __bool__(self) -> bool: ...
    def __add__(self, other: Any, /) -> Expression: ...
    def __radd__(self, other: Any, /) -> Expression: ...
    def __sub__(self, other: Any, /) -> Expression: ...
    def __rsub__(self, other: Any, /) -> Expression: ...
    def __mul__(self, other: Any, /) -> Expression: ...
    def __rmul__(self, other: Any, /) -> Expression: ...
    def __truediv__(self, other: Any, /) -> Expression: ...
    def __rtruediv__(self, other: Any, /) -> Expression: ...
    def __floordiv__(self, other: Any, /) -> Expression: ...
    def __rfloordiv__(self, other: Any, /) -> Expression: ...
    def __mod__(self, other: Any, /) -> Expression: ...
    def __rmod__(self, other: Any, /) -> Expression: ...
    def __pow__(self, other: Any, mod: None = None, /) -> Expression: ...
    def __rpow__(self, other: Any, mod: None = None, /) -> Expression: ...
    def __lshift__(self, other: Any, /) -> Expression: ...
    def __rlshift__(self, other: Any, /) -> Expression: ...
    def __rshift__(self, other: Any, /) -> Expression: ...
    def __rrshift__(self, other: Any, /) -> Expression: ...
    def __and__(self, other: Any, /) -> Expression: ...
    def __rand__(self, other: Any, /) -> Expression: ...
    def __or__(self, other: Any, /) -> Expression: ...
    def __ror__(self, other: Any, /) -> Expression: ...
    def __xor__(self, other: Any, /) -> Expression: ...
    def __rxor__(self, other: Any, /) -> Expression: ...
    def __lt__(self, other: Any, /) -> Expression: ...
    def __le__(self, other: Any, /) -> Expression: ...
    def __eq__(self, other: Any, /) -> Expression: ...  # type: ignore[override]
    def __ne__(self, other: Any, /) -> Expression: ...  # type: ignore[override]
    def __gt__(self, other: Any, /) -> Expression: ...
    def __ge__(self, other: Any, /) -> Expression: ...

class PipelineError(RuntimeError): ...

class _WorkerStats(TypedDict):
    done: int
    stolen: int
    busy: float
    idle: float

class _PoolStats(TypedDict):
    threads: int
    queued: int
    workers: list[_WorkerStats]

# What ThreadPool stands on: threads that call what is submitted, without arguments.
@final
class _Workers:
    def __new__(cls, count: int, name: str, initializer: Callable[[], bool]) -> Self: ...
    def submit(self, call: Callable[[], object], /) -> None: ...
    def stop(self) -> None: ...
    def take_calls(self) -> list[Any]: ...
    def join(self) -> None: ...
    def grow(self, count: int, /) -> None: ...
    def stats(self) -> _PoolStats: ...

class _StageStats(TypedDict):
    name: str
    mode: Literal["parallel", "serial_in_order", "serial_out_of_order"]
    items: int
    items_out: int
    nbytes: int
    busy: float
    wait: float
    attached: float
    p50: float
    p90: float
    p99: float
    times: list[tuple[float, int]]
    retried: int
    skipped: int
    workers: int
    workers_most: int

class _RunStats(TypedDict):
    threads: int
    elapsed: float
    idle: float
    consumer_wait: float
    attached: float
    handover: float
    next: float
    detached: float
    delivered: int
    tokens: int
    tokens_peak: int
    nbytes: int
    nbytes_peak: int
    nbytes_made: int
    memory: int
    stages: list[_StageStats]

@final
class Run:
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def close(self) -> None: ...
    def cancel(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[Any]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def _next_ready(self, otherwise: Any, /) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def report(self) -> Report: ...
    def stats(self) -> _RunStats: ...
    def trace(self, path: str | PathLike[str], /) -> Path: ...
    @property
    def dead_letters(self) -> list[DeadLetter]: ...

add: Final[Operation]
subtract: Final[Operation]
multiply: Final[Operation]
divide: Final[Operation]
minimum: Final[Operation]
maximum: Final[Operation]
clip: Final[Operation]
negative: Final[Operation]
absolute: Final[Operation]
sqrt: Final[Operation]
equal: Final[Operation]
not_equal: Final[Operation]
less: Final[Operation]
less_equal: Final[Operation]
greater: Final[Operation]
greater_equal: Final[Operation]
bitwise_and: Final[Operation]
bitwise_or: Final[Operation]
bitwise_xor: Final[Operation]
invert: Final[Operation]
where: Final[Operation]
relu: Final[Operation]
exp: Final[Operation]
exp2: Final[Operation]
expm1: Final[Operation]
log: Final[Operation]
log2: Final[Operation]
log10: Final[Operation]
log1p: Final[Operation]
power: Final[Operation]
rsqrt: Final[Operation]
cbrt: Final[Operation]
hypot: Final[Operation]
sinh: Final[Operation]
cosh: Final[Operation]
tanh: Final[Operation]
arcsinh: Final[Operation]
arccosh: Final[Operation]
arctanh: Final[Operation]
sigmoid: Final[Operation]
erf: Final[Operation]
sin: Final[Operation]
cos: Final[Operation]
tan: Final[Operation]
arcsin: Final[Operation]
arccos: Final[Operation]
arctan: Final[Operation]
arctan2: Final[Operation]
angle: Final[Operation]
fma: Final[Operation]
fmin: Final[Operation]
fmax: Final[Operation]
square: Final[Operation]
reciprocal: Final[Operation]
floor: Final[Operation]
ceil: Final[Operation]
trunc: Final[Operation]
rint: Final[Operation]
sign: Final[Operation]
copysign: Final[Operation]
signbit: Final[Operation]
isnan: Final[Operation]
isinf: Final[Operation]
isfinite: Final[Operation]
positive: Final[Operation]
conjugate: Final[Operation]
real: Final[Operation]
imag: Final[Operation]
floor_divide: Final[Operation]
remainder: Final[Operation]
fmod: Final[Operation]
left_shift: Final[Operation]
right_shift: Final[Operation]
logical_and: Final[Operation]
logical_or: Final[Operation]
logical_xor: Final[Operation]
logical_not: Final[Operation]
sum: Final[Operation]
prod: Final[Operation]
min: Final[Operation]
max: Final[Operation]
any: Final[Operation]
all: Final[Operation]
count_nonzero: Final[Operation]
count: Final[Operation]
mean: Final[Operation]
var: Final[Operation]
std: Final[Operation]
norm: Final[Operation]
argmin: Final[Operation]
argmax: Final[Operation]
ptp: Final[Operation]
skew: Final[Operation]
kurtosis: Final[Operation]
nansum: Final[Operation]
nancount: Final[Operation]
nanprod: Final[Operation]
nanmean: Final[Operation]
nanvar: Final[Operation]
nanstd: Final[Operation]
nanskew: Final[Operation]
nankurtosis: Final[Operation]
nanmin: Final[Operation]
nanmax: Final[Operation]

bool_: Final[dtype]
int8: Final[dtype]
int16: Final[dtype]
int32: Final[dtype]
int64: Final[dtype]
uint8: Final[dtype]
uint16: Final[dtype]
uint32: Final[dtype]
uint64: Final[dtype]
float16: Final[dtype]
bfloat16: Final[dtype]
float32: Final[dtype]
float64: Final[dtype]
complex64: Final[dtype]
complex128: Final[dtype]

def asarray(
    obj: _ArrayLike, dtype: _DTypeLike | None = None, *, copy: bool | None = None
) -> Array: ...
def array(
    obj: _ArrayLike, dtype: _DTypeLike | None = None, *, copy: bool | None = True
) -> Array: ...
def empty(shape: _Shape, dtype: _DTypeLike | None = "float64", order: _Order = "C") -> Array: ...
def shared_empty(
    shape: _Shape, dtype: _DTypeLike | None = "float64", order: _Order = "C"
) -> Array: ...
def zeros(shape: _Shape, dtype: _DTypeLike | None = "float64", order: _Order = "C") -> Array: ...
def ones(shape: _Shape, dtype: _DTypeLike | None = "float64", order: _Order = "C") -> Array: ...
def full(
    shape: _Shape, fill_value: Any, dtype: _DTypeLike | None = None, order: _Order = "C"
) -> Array: ...
def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: _DTypeLike | None = None
) -> Array: ...
def astype(
    a: _ArrayLike,
    dtype: _DTypeLike,
    *,
    casting: _Casting = "unsafe",
    saturate: bool = False,
    copy: bool = True,
) -> Array: ...
def can_cast(
    from_: _ArrayLike | _DTypeLike, to: _DTypeLike, casting: _Casting = "safe"
) -> bool: ...
def promote_types(type1: _DTypeLike, type2: _DTypeLike) -> dtype: ...
def result_type(*arrays_and_dtypes: _ArrayLike | _DTypeLike) -> dtype: ...
def affine(
    a: _ArrayLike,
    scale: float = 1,
    offset: float = 0,
    dtype: _DTypeLike = "float32",
    *,
    out: _Out = None,
) -> Any: ...
def dot(a: _ArrayLike, b: _ArrayLike, out: _Out = None) -> Any: ...
def vdot(a: _ArrayLike, b: _ArrayLike, out: _Out = None) -> Any: ...
def cumsum(a: _ArrayLike, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
def cumprod(a: _ArrayLike, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
def cummin(a: _ArrayLike, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
def cummax(a: _ArrayLike, axis: SupportsIndex | None = None, *, out: _Out = None) -> Any: ...
def sort(
    a: _ArrayLike,
    axis: SupportsIndex | None = -1,
    kind: _SortKind = None,
    *,
    descending: bool = False,
    stable: bool | None = None,
) -> Array: ...
def argsort(
    a: _ArrayLike,
    axis: SupportsIndex | None = -1,
    kind: _SortKind = None,
    *,
    descending: bool = False,
    stable: bool | None = None,
) -> Array: ...
def partition(
    a: _ArrayLike,
    kth: SupportsIndex | Sequence[SupportsIndex],
    axis: SupportsIndex | None = -1,
) -> Array: ...
def argpartition(
    a: _ArrayLike,
    kth: SupportsIndex | Sequence[SupportsIndex],
    axis: SupportsIndex | None = -1,
) -> Array: ...
def topk(
    a: _ArrayLike,
    k: SupportsIndex,
    axis: SupportsIndex | None = -1,
    *,
    largest: bool = True,
) -> tuple[Array, Array]: ...
def searchsorted(
    a: _ArrayLike,
    v: _ArrayLike,
    side: Literal["left", "right"] = "left",
    sorter: _ArrayLike | None = None,
) -> Any: ...
def isin(a: _ArrayLike, values: _ArrayLike, *, invert: bool = False) -> Any: ...
def unique(
    a: _ArrayLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any: ...
def bincount(
    x: _ArrayLike, weights: _ArrayLike | None = None, minlength: SupportsIndex = 0
) -> Array: ...
def nonzero(a: _ArrayLike, /) -> tuple[Array, ...]: ...
def frombuffer(
    buffer: Buffer, dtype: _DTypeLike | None = "float64", count: int = -1, offset: int = 0
) -> Array: ...
def open(
    path: _Path,
    mode: Literal["r", "r+", "w+", "c"] = "r",
    *,
    dtype: _DTypeLike | None = None,
    shape: _Shape | None = None,
    offset: int = 0,
    order: _Order = None,
) -> Array: ...
def save(path: _Path, a: _ArrayLike) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int, /) -> None: ...
def col(name: str, /) -> Expression: ...
def lazy(a: _ArrayLike | Expression, /) -> Expression: ...
def memory_stats() -> dict[str, int]: ...
def trim_memory() -> None: ...
def _close_hub() -> None: ...
def _forget_other_threads() -> None: ...
def compile(
    expressions: Expression | Iterable[Expression] | Mapping[Any, Expression], /
) -> Compiled: ...
def _compute(
    expressions: Iterable[Expression],
    outs: Iterable[Any] | None = None,
    columns: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> tuple[Any, ...]: ...
def _histogram(a: _ArrayLike, edges: Iterable[float], weights: _ArrayLike | None) -> Array: ...
def _group_reduce(
    keys: Array,
    low: int,
    groups: int,
    columns: Sequence[tuple[Array, Sequence[Operation]]],
    ddof: float,
) -> tuple[Array, list[list[Array]]]: ...
def _infer(
    stage: tuple[Any, ...],
    arrays: Iterable[tuple[dtype, tuple[int, ...]]],
    rows: bool,
    names: tuple[str, ...] | None,
) -> tuple[tuple[tuple[dtype, tuple[int, ...]], ...], bool] | None: ...
def _open_strided(
    path: str,
    mode: str,
    dtype: dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> Array: ...
def _npy_header(dtype: dtype, shape: tuple[int, ...]) -> bytes: ...
def _pass(arrays: tuple[Array, ...], out: Array | None, past_caches: bool, repeats: int) -> int: ...
def _machine() -> dict[str, Any]: ...
def _reduce_many(
    a: _ArrayLike, operations: Sequence[Operation], *, ddof: float = 0
) -> tuple[Any, ...]: ...
def _moving(fold: str, a: _ArrayLike, window: int, axis: int, out: _Out) -> Any: ...
def _quantiles(
    a: _ArrayLike,
    q: float | Sequence[float],
    axis: _Axis,
    out: _Out,
    keepdims: bool,
    method: _str,
    leave_nan_out: bool,
) -> Any: ...
def _in_main_interpreter() -> bool: ...
def _simd_target() -> str: ...
def _simd_targets() -> list[str]: ...
def _start_run(
    source: tuple[tuple[Array, ...], int, bool, tuple[str, ...] | None, int]
    | tuple[Iterable[Any], str]
    | Iterable[Any],
    stages: tuple[tuple[Any, ...], ...],
    threads: int,
    memory: int,
    prefetch: int,
    timeout: int,
    trace: int,
    watch: Callable[[Run, bool], object] | None,
    oversize: bool = False,
    ordered: bool = True,
    place: Callable[[int], dict[str, Any]] = ...,
) -> Run: ...
def _use_simd_target(name: str | None, /) -> None: ...
def _share(array: Array, /) -> tuple[int, bool, int, int, int] | None: ...
def _map_shared(
    descriptor: int,
    readonly: bool,
    offset: int,
    nbytes: int,
    first: int,
    dtype: dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    /,
) -> Array: ...
