"""What a new user of the wheel does first, with nothing but the wheel installed."""

import sys
import tempfile
from pathlib import Path

import spanflow as sf

data = bytearray(range(48))
a = sf.asarray(data)
assert a.storage == "foreign" and a.tolist() == list(range(48))
b = sf.arange(12, dtype="f4").reshape((3, 4)) * 2 + 1
assert b.sum() == 144 and b.max() == 23, b
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "b.npy"
    sf.save(path, b)
    mapped = sf.open(path)
    assert mapped.storage == "mapped" and mapped.tolist() == b.tolist()
    mapped.close()
assert "numpy" not in sys.modules
print(f"spanflow {sf.__version__} works on Python {sys.version.split()[0]}")
