"""`spanflow info` and the command itself."""

import json
import os
import subprocess
import sys

import spanflow as sf
from spanflow import _info


def run(*arguments, **options):
    command = [sys.executable, "-m", "spanflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_json():
    done = run("info", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"] == sf.__version__
    assert answer["simd"]["target"] == answer["simd"]["available"][0]
    assert answer["python"]["version"] == sys.version.split()[0].rstrip("+")
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    assert answer["python"]["gil_enabled"] is gil
    assert answer["machine"]["cores"] >= 1
    caches = [answer["machine"][key] for key in ("l1_data_cache", "l2_cache", "last_level_cache")]
    assert 4096 <= caches[0] <= caches[1] <= caches[2]


def test_text():
    done = run("info")
    assert done.returncode == 0, done.stderr
    assert sf.simd.target() in done.stdout and sf.__version__ in done.stdout


def test_text_without_unicode():
    done = run("info", env={**os.environ, "PYTHONIOENCODING": "ascii:strict"})
    assert done.returncode == 0, done.stderr
    assert "\\x" not in done.stdout


def test_version():
    assert run("--version").stdout == f"spanflow {sf.__version__}\n"


def test_sizes_for_people():
    assert [_info.size(n) for n in (0, 1023, 1536, 32 << 20, 5 << 30)] == [
        "0 B", "1023 B", "1.5 KiB", "32 MiB", "5 GiB",
    ]  # fmt: skip
