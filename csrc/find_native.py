"""Tells Meson where pip put the native build requirements: find_native.py boost|mimalloc."""

import importlib.metadata
import sys
from pathlib import Path


def boost():
    """The include folder of the boost-headers package."""
    import boost_headers

    return [boost_headers.get_include()]


def mimalloc():
    """The include folder and the relocatable object of the cmeel-mimalloc package."""
    package = importlib.metadata.distribution("cmeel-mimalloc")
    prefix = Path(package.locate_file("cmeel.prefix"))
    header = next(prefix.glob("include/mimalloc-3*/mimalloc.h"))
    relocatable = next(prefix.glob("lib/mimalloc-3*/mimalloc.o"))
    return [header.parent, relocatable]


try:
    print(*{"boost": boost, "mimalloc": mimalloc}[sys.argv[1]](), sep="\n")
except (ImportError, StopIteration) as error:
    sys.exit(
        f"{sys.argv[1]}: {error or 'its files'} not found; pip install 'boost-headers>=1.83' "
        "'cmeel-mimalloc>=3.4,<3.5' (pip install . does it by itself)"
    )
