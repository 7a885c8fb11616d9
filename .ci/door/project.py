"""What pyproject.toml says, and the digests by which a second run knows that nothing changed."""

import hashlib
import tomllib

from .ui import ROOT

NATIVE = ("boost-headers", "cmeel-mimalloc")
BUILD_INPUTS = ["csrc", "pkg", "meson.build", "meson.options", "pyproject.toml", "LICENSE"]


def _pyproject():
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)


def build_requirements():
    """(what the building environment needs, native packages that interpreters can share)"""
    requires = _pyproject()["build-system"]["requires"]
    native = [line for line in requires if line.startswith(NATIVE)]
    return [line for line in requires if line not in native], native


def extra(name):
    """The requirements of one optional-dependencies group."""
    return _pyproject()["project"]["optional-dependencies"][name]


def digest_of(value):
    """A short stable digest of anything that repr() tells apart."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def digest_of_sources():
    """A digest over every byte that the build reads, and the names of the C++ tests."""
    whole = hashlib.sha256()
    for name in BUILD_INPUTS:
        top = ROOT / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                whole.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    for path in [ROOT / "tests" / "meson.build", *sorted(ROOT.glob("tests/*/*_test.cc"))]:
        whole.update(f"{path.relative_to(ROOT)}\0".encode())
    return whole.hexdigest()[:16]
