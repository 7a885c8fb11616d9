"""Fetches the real data of the demo: a package from the registry that pip uses, unpacked once."""

import tempfile
import zipfile
from pathlib import Path

from .interpreters import cache_folder
from .ui import run_logged, step
from .venv import quiet_env

PACKAGE = "global-land-mask"
MEMBER = "globe_combined_mask_compressed.npz"


def land_mask(env):
    """The path of the land mask of the Earth, 21,600 x 43,200 cells, as its package carries it."""
    target = cache_folder() / "data" / MEMBER
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"data: {PACKAGE} from the package registry"),
        tempfile.TemporaryDirectory(dir=target.parent) as work,
    ):
        download = [env.python, "-m", "pip", "download", "--no-input", "--no-deps", "-d", work]
        run_logged("data", [*download, PACKAGE], env=quiet_env())
        wheel = next(Path(work).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(MEMBER))
            archive.extract(name, work)
        (Path(work) / name).rename(target)
    return target
