"""What arrays look like as text, and the small Python parts of pickling and the array interface."""

from __future__ import annotations

import math
import struct
from typing import Any

_EDGE = 3  # elements shown at either end of a long axis
_THRESHOLD = 1000  # elements up to which everything is shown
_WIDTH = 88
# Significant digits that tell any two values of a narrow float apart.
_DIGITS = {"float16": 5, "bfloat16": 4, "float32": 9}
_PACKED = {5: "e", 9: "f"}


def array_repr(a: Any) -> str:
    """Array(shape=…, dtype=…, storage) over the elements, summarised like NumPy's."""
    if a.closed:
        return f"<closed spanflow.Array ({a.storage})>"
    notes = ", read-only" if a.readonly else ""
    header = f"Array(shape={a.shape}, dtype={a.dtype}, {a.storage}{notes})"
    return f"{header}\n{array_str(a)}"


def array_str(a: Any) -> str:
    """The elements only, in nested brackets with aligned columns."""
    if a.closed:
        return "<closed>"
    if a.ndim == 0:
        return _plain(a.item())
    if a.size == 0:
        return "[]"
    short = a.size > _THRESHOLD
    texts = _format_all(_collect(a, short), _DIGITS.get(a.dtype.name, 17))
    width = max(map(len, texts.flat))
    return _join(texts.nested, width, "")


class _Texts:
    """The same texts twice: nested for layout, flat for measuring."""

    def __init__(self, nested: list, flat: list[str]):
        self.nested = nested
        self.flat = flat


_GAP = object()


def _collect(a: Any, short: bool) -> list:
    """Nested lists of elements; a long axis keeps its ends and a gap between them."""
    n = a.shape[0]
    cut = short and n > 2 * _EDGE
    picks = [*range(_EDGE), None, *range(n - _EDGE, n)] if cut else range(n)
    out: list = []
    for i in picks:
        if i is None:
            out.append(_GAP)
        elif a.ndim == 1:
            out.append(a.__getitem__(i) if a.dtype.kind != "V" else a[i].item())
        else:
            out.append(_collect(a[i], short))
    return out


def _leaves(nested: list) -> list:
    flat: list = []
    for x in nested:
        if isinstance(x, list):
            flat.extend(_leaves(x))
        elif x is not _GAP:
            flat.append(x)
    return flat


def _format_all(nested: list, digits: int) -> _Texts:
    leaves = _leaves(nested)
    text: Any = _plain
    if leaves and isinstance(leaves[0], float):
        decimals = _float_formatter([_shortest(x, digits) for x in leaves])

        def text(x: float) -> str:
            return decimals(_shortest(x, digits))

    flat: list[str] = []

    def render(x: Any) -> Any:
        if isinstance(x, list):
            return [render(y) for y in x]
        if x is _GAP:
            return "..."
        flat.append(text(x))
        return flat[-1]

    return _Texts(render(nested), flat)


def _shortest(x: float, digits: int) -> float:
    """The value with the fewest digits that a float of that width still reads back as x."""
    if digits == 17 or not math.isfinite(x):
        return x
    code = _PACKED.get(digits)
    for d in range(1, digits):
        short = float(f"{x:.{d}g}")
        if code is None:  # bfloat16 has no code; half of its last bit is 2**-9 of the value
            if abs(short - x) <= abs(x) * 2.0**-9:
                return short
        elif _reads_back(code, short, x):
            return short
    return x


def _reads_back(code: str, short: float, x: float) -> bool:
    try:
        return struct.unpack(code, struct.pack(code, short))[0] == x
    except OverflowError:  # rounded up past the largest
        return False


def _plain(x: Any) -> str:
    return f"{x:.8g}" if isinstance(x, float) else repr(x)


def _float_formatter(values: list[float]) -> Any:
    """As many decimals as the values need, at most 8; exponents when they are far apart."""
    finite = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if finite and (max(finite) >= 1e8 or min(finite) < 1e-4 or max(finite) / min(finite) > 1e7):
        return lambda v: f"{v:.8e}" if math.isfinite(v) else str(v)
    tails = [f"{v:.8f}".rstrip("0").partition(".")[2] for v in finite]
    digits = max(map(len, tails), default=0)
    return lambda v: (f"{v:.{digits}f}" if digits else f"{v:.0f}.") if math.isfinite(v) else str(v)


def _join(nested: list, width: int, indent: str) -> str:
    if isinstance(nested[0], list) or (len(nested) > 1 and isinstance(nested[1], list)):
        inner = indent + " "
        rows = [x if x == "..." else _join(x, width, inner) for x in nested]
        between = ",\n\n" if isinstance(nested[0][0], list) else ",\n"
        return "[" + (between + inner).join(rows) + "]"
    lines: list[str] = []
    line = ""
    for i, text in enumerate(nested):
        piece = text if text == "..." else text.rjust(width)
        if i + 1 < len(nested):
            piece += ","
        if line and len(indent) + len(line) + 1 + len(piece) > _WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {piece}" if line else piece
    lines.append(line)
    return "[" + ("\n" + indent + " ").join(lines) + "]"


def descr(dtype: Any) -> list:
    """The array interface's descr of a record dtype: fields in order of offset, gaps as padding."""
    out: list = []
    end = 0
    for name, (field, offset, shape) in sorted(dtype.fields.items(), key=lambda f: f[1][1]):
        if offset < end:
            raise TypeError("a record with overlapping fields has no array interface descr")
        if offset > end:
            out.append(("", f"|V{offset - end}"))
        code = descr(field) if field.names else field.str
        out.append((name, code, shape) if shape else (name, code))
        end = offset + field.itemsize * math.prod(shape)
    if end < dtype.itemsize:
        out.append(("", f"|V{dtype.itemsize - end}"))
    return out
