"""The demo: its job on a small planet, right and tampered with, and the options of its command."""

import os
import subprocess
import sys

import numpy as np
import pytest

import spanflow as sf
from spanflow import _data, _demo_job, demo

ROWS, COLUMNS = 360, 720


@pytest.fixture
def planet(tmp_path, monkeypatch):
    """A mask of 360 x 720 cells in the place of the real one; its results by NumPy are known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_demo_job, "PASSES", 2)
    mask = np.random.default_rng(1).random((ROWS, COLUMNS)) < 0.7
    latitude = 90 - (np.arange(ROWS) + 0.5) / 2
    weights = np.cos(np.radians(latitude))
    monkeypatch.setattr(_demo_job, "LAND", 1 - (mask.mean(axis=1) * weights).sum() / weights.sum())
    monkeypatch.setattr(_demo_job, "OCEAN_CELLS", mask.mean())
    paths = _data.LandMask(tmp_path / "mask.npy", tmp_path / "lat.npy")
    monkeypatch.setattr(_data, "land_mask", lambda say: paths)
    np.save(paths.mask, mask)
    np.save(paths.latitude, latitude)
    threads = sf.get_num_threads()
    yield paths
    sf.set_num_threads(threads)


def test_the_job(planet, tmp_path, capsys):
    assert demo.main(["--picture", str(tmp_path / "map.png")]) == 0
    said = capsys.readouterr().out
    assert "share of land" in said and f"{_demo_job.LAND:.11f}" in said
    assert "bytes copied    none" in said
    assert " % of " in said.replace("%", " %") and " ms by the stages" in said
    assert said.count("million square km") == 180 // _demo_job.BAND


def test_one_wrong_cell_is_found(planet, capsys):
    mask = np.load(planet.mask)
    mask[ROWS // 2, 5] ^= True
    np.save(planet.mask, mask)
    assert demo.main([]) == 1
    assert "the share of land is" in capsys.readouterr().err


def test_cells_that_hardly_count_are_found(planet, capsys):
    """Two cells of one row change places with two of another: the plain mean stays as it is."""
    mask = np.load(planet.mask)
    mask[[0, ROWS // 2]] = mask[[ROWS // 2, 0]]
    np.save(planet.mask, mask)
    assert demo.main([]) == 1
    assert "but it is known" in capsys.readouterr().err


def test_the_word_for_a_gil_that_is_off(planet, monkeypatch, capsys):
    monkeypatch.setattr(_demo_job, "_gil_is_on", lambda: False)
    monkeypatch.setattr(_demo_job._worldmap, "draw", lambda *arguments: None)
    assert demo.main([]) == 0
    said = capsys.readouterr().out
    assert "attached  " in said and "GIL held" not in said and "GIL off" in said


def test_without_matplotlib(planet, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert demo.main([]) == 0
    assert "spanflow[demo]" in capsys.readouterr().out


def test_without_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from spanflow import demo; sys.exit(demo.main([]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "spanflow[demo]" in done.stderr and "Traceback" not in done.stderr


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "spanflow.demo", *map(str, arguments)],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


WRONG_VALUES = [
    (("--memory", "abc"), 'such as "512MB"'),
    (("--memory", "0"), "at least 1"),
    (("--memory", "9" * 400), "--memory"),
    (("--memory", "1MB"), "a chunk of 64 rows has 2.637 MiB, more than 1MB"),
    (("--threads", "5000"), "from 1 to 1,024, got '5000'"),
    (("--rows-per-chunk", "99999999"), "from 1 to 21,600"),
    (("--rows-per-chunk", "x"), "from 1 to 21,600, got 'x'"),
    (("--picture", "x.foo"), "must end in .png, .pdf or .svg"),
    (("--picture", "/dev/null/x.png"), "cannot be written"),
    (("--rows", "5"), "unrecognized"),
]


@pytest.mark.parametrize("arguments, said", WRONG_VALUES)
def test_wrong_use_exits_with_2_before_any_work(arguments, said, tmp_path):
    done = run(*arguments, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 2 and said in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    done = run(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert "XDG_CACHE_HOME" in done.stderr and "Traceback" not in done.stderr


def test_nobody_listens(planet, monkeypatch, capsys):
    def broken(options):
        raise BrokenPipeError

    monkeypatch.setattr(_demo_job, "run", broken)
    with open(os.devnull, "w") as nothing:
        monkeypatch.setattr(sys, "stdout", nothing)
        assert demo.main([]) == 0


def test_what_it_prints_is_plain(planet, capsys):
    assert demo.main(["--picture", str(planet.mask.with_name("map.svg"))]) == 0
    capsys.readouterr().out.encode("ascii")
