"""Lists the GoogleTest files for Meson, one per line, relative to this folder."""

from pathlib import Path

HERE = Path(__file__).parent

for path in sorted(HERE.glob("*/*_test.cc")):
    print(path.relative_to(HERE))
