"""The demo's data: unpacked as a whole or not at all, and whoever damaged it is told."""

import zipfile

import numpy as np
import pytest

from spanflow import _data


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive in the place of the real one."""
    path = tmp_path / "small.npz"
    np.savez_compressed(path, mask=np.eye(30, dtype=bool), lat=np.linspace(90, -90, 30))
    with zipfile.ZipFile(path) as source:
        sizes = {name: source.getinfo(f"{name}.npy").file_size for name in ("mask", "lat")}
    monkeypatch.setattr(_data, "_MEMBERS", sizes)
    monkeypatch.setenv("SPANFLOW_LAND_MASK", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def test_unpacks_once(archive):
    said = []
    paths = _data.land_mask(said.append)
    assert np.load(paths.mask).sum() == 30
    assert np.load(paths.latitude)[0] == 90
    assert len(said) == 2
    archive.unlink()
    said.clear()
    assert _data.land_mask(said.append) == paths
    assert said == []


def test_damage_leaves_nothing_behind(archive):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as source:
        info = source.getinfo("mask.npy")
    content[info.header_offset + 60 + len(info.filename)] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(_data.DataError, match="damaged"):
        _data.land_mask(lambda text: None)
    assert [path.name for path in _data.cache_folder().iterdir()] == []


def test_truncated_archive(archive):
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(_data.DataError, match="damaged"):
        _data.land_mask(lambda text: None)


def test_missing_archive(archive):
    archive.unlink()
    with pytest.raises(_data.DataError, match="SPANFLOW_LAND_MASK"):
        _data.land_mask(lambda text: None)


def test_full_disk(archive, monkeypatch):
    usage = _data.shutil.disk_usage(archive.parent)._replace(free=10)
    monkeypatch.setattr(_data.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(_data.DataError, match="make room"):
        _data.land_mask(lambda text: None)


def test_half_written_file_is_made_anew(archive):
    paths = _data.land_mask(lambda text: None)
    paths.mask.write_bytes(b"half")
    assert np.load(_data.land_mask(lambda text: None).mask).sum() == 30
