"""What the lab can measure: a row for each operation of the library, and what users register.

Operations, their operands, dtypes and error bounds come from the tables of the library; here is
only what those do not say: which numbers make sense as operands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import spanflow as sf

SCANS = ("cumsum", "cumprod", "cummin", "cummax")
# Functions that make their result themselves, with the options that they are measured with. NumPy's
# function of the same name is called in the same way.
FUNCTIONS: dict[str, dict[str, Any]] = {
    "sort": {},
    "argsort": {},
    "unique": {},
    "median": {},
    "histogram": {"bins": 100},
    "nonzero": {},
    "diff": {},
    "moving_mean": {"window": 16},
    "moving_max": {"window": 16},
    "affine": {"scale": 0.5, "offset": 1.0},
}
# Reductions of two arrays to a number.
INNER_PRODUCTS = ("dot", "vdot")
# Operands that an operation is at home with; (low, high) of floats where it is not DEFAULT_RANGE.
DEFAULT_RANGE = (-100.0, 100.0)
RANGES = {
    "sqrt": (0.0, 100.0),
    "rsqrt": (0.01, 100.0),
    "exp": (-10.0, 10.0),
    "exp2": (-14.0, 14.0),
    "expm1": (-10.0, 10.0),
    "log": (0.01, 100.0),
    "log2": (0.01, 100.0),
    "log10": (0.01, 100.0),
    "log1p": (-0.9, 100.0),
    "power": (0.1, 8.0),
    "prod": (0.99, 1.01),
    "nanprod": (0.99, 1.01),
    "cumprod": (0.99, 1.01),
    "sinh": (-10.0, 10.0),
    "cosh": (-10.0, 10.0),
    "tanh": (-5.0, 5.0),
    "arcsin": (-1.0, 1.0),
    "arccos": (-1.0, 1.0),
    "arccosh": (1.0, 100.0),
    "arctanh": (-0.99, 0.99),
    "sigmoid": (-10.0, 10.0),
    "erf": (-4.0, 4.0),
}
# Of integers, where any bits are not good operands.
WHOLE_RANGES = {"left_shift": (0, 7), "right_shift": (0, 7), "power": (0, 4)}


@dataclass(frozen=True)
class Kernel:
    """Something that can be measured. `call(*operands, out=out)` does the work once; `out` is None
    for what gives a single number."""

    name: str
    family: str  # "elementwise", "reduction", "scan", "function" or "registered"
    nin: int
    types: tuple[str, ...]  # dtypes with a kernel of their own
    call: Callable[..., Any]
    error_bound: float | None = None  # in units in the last place
    options: dict[str, Any] = field(default_factory=dict)
    peers: dict[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def broadcasts(self) -> bool:
        """Whether its operands may have different shapes."""
        return self.nin > 1 and self.family != "reduction"

    def takes(self, dtype: sf.dtype) -> bool:
        """Whether it works on the dtype without a cast to another one first."""
        wanted = "float32" if dtype.name in ("float16", "bfloat16") else dtype.name
        return not self.types or wanted in self.types

    def range_of(self, dtype: sf.dtype) -> tuple[float, float] | None:
        """The operands' range; None: any bits of an integer."""
        if dtype.kind in "iu":
            return WHOLE_RANGES.get(self.name)
        return RANGES.get(self.name, DEFAULT_RANGE)


def _without_out(function: Any, options: dict[str, Any]) -> Callable[..., Any]:
    return lambda *operands, out: function(*operands, **options)


def _built_in() -> dict[str, Kernel]:
    kernels = {}
    for name in sf.__all__:
        operation = getattr(sf, name)
        if not isinstance(operation, sf.Operation) or operation.__name__ != name:
            continue  # a class, or the second name of an operation
        is_reduction = operation.kind == "reduction"
        kernels[name] = Kernel(
            name,
            operation.kind,
            operation.nin,
            operation.types,
            _without_out(operation, {}) if is_reduction else operation,
            operation.error_bound,
        )
    for name in SCANS:
        types = sf.sum.types if name in ("cumsum", "cumprod") else sf.min.types
        kernels[name] = Kernel(name, "scan", 1, types, getattr(sf, name))
    for name in INNER_PRODUCTS:
        call = _without_out(getattr(sf, name), {})
        kernels[name] = Kernel(name, "reduction", 2, sf.multiply.types, call)
    for name, options in FUNCTIONS.items():
        call = _without_out(getattr(sf, name), options)
        kernels[name] = Kernel(name, "function", 1, sf.clip.types, call, options=options)
    return kernels


_kernels: dict[str, Kernel] = {}
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def kernels() -> dict[str, Kernel]:
    """Every kernel by its name: those of the library, then those that were registered."""
    if not _kernels:
        _kernels.update(_built_in())
    return _kernels


def register(
    op: str, function: Callable[..., Any] | None = None, *, name: str | None = None, nin: int = 1
) -> Any:
    """Lets the lab measure a function of yours beside spanflow's operation `op`.

    It is called as function(*operands, out): operands and out are spanflow arrays (np.asarray(a)
    of one is free); out is what an elementwise operation must fill, None for a reduction, which
    returns its result. An `op` that spanflow does not have becomes one of its own, elementwise,
    with `nin` operands. `name` is what results are called; the function's name if it is left out.
    Works as a decorator too:

        @sf.lab.register("add", name="numexpr")
        def add(a, b, out): ...

    Raises TypeError for what cannot be called and ValueError for a name that cannot be one.
    """
    if function is None:
        return lambda decorated: register(op, decorated, name=name, nin=nin)
    if not callable(function):
        raise TypeError(f"register() takes a function of the operands and out, got {function!r}")
    name = name if name is not None else getattr(function, "__name__", "")
    for word in (op, name):
        if not isinstance(word, str) or not _NAME.fullmatch(word):
            raise ValueError(
                "a name is letters, digits, '_', '-' and '.', and begins with a letter, "
                f"got {word!r}"
            )
    if name in ("spanflow", "numpy"):
        raise ValueError(f"the name {name!r} is taken; choose another with name=")
    if op not in kernels():
        if nin not in (1, 2, 3):
            raise ValueError(f"an operation has 1, 2 or 3 operands, got nin={nin!r}")
        kernels()[op] = Kernel(op, "registered", nin, (), lambda *_, out: None)
    kernels()[op].peers[name] = function
    return function
