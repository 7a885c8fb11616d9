"""The extension exports one symbol, carries its allocator, and leaves everyone's malloc alone."""

import ctypes
import importlib.util
import re
import subprocess
import sys

import pytest

EXTENSION = importlib.util.find_spec("spanflow._core").origin


def readelf(*options):
    return subprocess.run(
        ["readelf", "-W", *options, EXTENSION], capture_output=True, text=True, check=True
    ).stdout


def dynamic_symbols():
    """(name, defined here, binding) for every row of the dynamic symbol table."""
    for line in readelf("--dyn-syms").splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[0].rstrip(":").isdigit():
            yield fields[7].partition("@")[0], fields[6] != "UND", fields[4]


def test_only_the_init_function_is_exported():
    exported = {
        name for name, defined, binding in dynamic_symbols() if defined and binding != "LOCAL"
    }
    assert exported == {"PyInit__core"}


def test_malloc_and_operator_new_come_from_outside():
    imported = {name for name, defined, _ in dynamic_symbols() if not defined}
    assert "_Znwm" in imported
    assert "_ZdlPvm" in imported or "_ZdlPv" in imported
    assert not any(name.startswith("mi_") for name in imported)


def test_no_library_of_ours_is_needed():
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d")))
    assert not any("mimalloc" in name or "boost" in name or "python" in name for name in needed)
    assert {name.partition(".so")[0] for name in needed} <= {
        "libhwy",
        "libhwy_contrib",
        "libstdc++",
        "libgcc_s",
        "libc",
        "libm",
        "libpthread",
        "ld-linux-x86-64",
        "ld-linux-aarch64",
    }


def test_no_executable_stack_and_no_text_relocations():
    stack = next(line for line in readelf("-l").splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack
    assert "TEXTREL" not in readelf("-d")


class DlInfo(ctypes.Structure):
    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


def test_operator_new_is_that_of_the_standard_library():
    """dladdr of the symbol that our extension sees says which library answers it."""
    __import__("spanflow._core")
    ours = ctypes.CDLL(EXTENSION)
    dladdr = ctypes.CDLL(None).dladdr
    dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(DlInfo)]
    for symbol, library in (("_Znwm", b"libstdc++"), ("_ZdlPv", b"libstdc++"), ("malloc", b"libc")):
        info = DlInfo()
        address = ctypes.cast(getattr(ours, symbol), ctypes.c_void_p)
        assert dladdr(address, ctypes.byref(info)) != 0
        assert library in info.file, (symbol, info.file)


def test_after_another_cxx_extension():
    """The order that crashes when operator new and free belong to different allocators."""
    pytest.importorskip("numpy")
    code = (
        "import numpy.fft, numpy.random\n"
        "import numpy as np, spanflow as sf\n"
        "for n in (1, 100, 10_000, 1_000_000):\n"
        "    a = sf.asarray(np.arange(n, dtype='f8'))\n"
        "    assert (a + a).sum() == n * (n - 1)\n"
        "    repr(a); a.tolist(); str(a.dtype)\n"
        "try:\n"
        "    sf.asarray(np.zeros(3), dtype='no such type')\n"
        "except (TypeError, ValueError):\n"
        "    print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fine\n"
