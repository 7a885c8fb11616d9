"""Environments: stamps that are believed only where the packages are there too."""

import sys

import pytest
from door import build, venv
from door.ui import DoorError


def make_folder(folder, *, home="/usr/bin", version="3.11.2"):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("")
    (folder / "pyvenv.cfg").write_text(f"home = {home}\nversion = {version}\n")
    return folder


def put(folder, *distributions):
    for name in distributions:
        (folder / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info").mkdir(parents=True)


@pytest.fixture
def ran(monkeypatch):
    """The commands that would have been run."""
    commands = []
    facts = {"home": "/usr/bin", "version": "3.11.2", "tag": "cpython-311"}
    monkeypatch.setattr(venv, "describe", lambda python: facts)
    monkeypatch.setattr(
        venv, "run_logged", lambda name, command, **_: commands.append([str(w) for w in command])
    )
    return commands


@pytest.fixture
def env(tmp_path, ran):
    return venv.Environment(make_folder(tmp_path / ".venv"), sys.executable)


def test_a_stamp_is_believed_while_the_packages_are_there(env, ran):
    env.ensure("test", ["pytest>=8", "pytest-timeout>=2"])
    assert ran[0][1:4] == ["-m", "pip", "install"]
    put(env.folder, "pytest-8.1", "pytest_timeout-2.3")
    env.ensure("test", ["pytest>=8", "pytest-timeout>=2"])
    assert len(ran) == 1
    (env.folder / "lib/python3.11/site-packages/pytest_timeout-2.3.dist-info").rmdir()
    env.ensure("test", ["pytest>=8", "pytest-timeout>=2"])
    assert len(ran) == 2


def test_other_requirements_are_installed(env, ran):
    put(env.folder, "numpy-2.0")
    env.ensure("bench", ["numpy>=1.26"])
    env.ensure("bench", ["numpy>=2"])
    assert len(ran) == 2


def test_what_is_offered_may_be_missing(env, monkeypatch):
    """Each package by itself, and no failure where there is none for this interpreter."""
    asked = []

    def run(name, command, **_):
        asked.append((name, command[-1], "--only-binary" in command))
        if command[-1] == "grain>=0.2":
            raise DoorError("no matching distribution")

    monkeypatch.setattr(venv, "run_logged", run)
    put(env.folder, "numpy-2.0")
    env.offer(["numpy>=1.26", "grain>=0.2", "spdl-core>=0.8"])
    assert asked == [("venv-grain", "grain>=0.2", True), ("venv-spdl-core", "spdl-core>=0.8", True)]


def test_names_are_compared_as_the_registry_does(env):
    put(env.folder, "Meson_Python-0.18", "ruamel.yaml-1")
    assert env.lacks(["meson-python>=0.18", "ruamel_yaml", "Ninja[x]>=1.10"]) == ["Ninja[x]>=1.10"]


def test_spanflow_is_installed_again_when_it_is_gone(env, monkeypatch, tmp_path):
    installed = []
    monkeypatch.setattr(build, "prepare", lambda env: None)
    monkeypatch.setattr(build, "build_variables", lambda env, flavour: {"PYTHONPATH": ""})
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "build")
    monkeypatch.setattr(build.project, "digest_of_sources", lambda: "digest")
    monkeypatch.setattr(build, "nothing_to_do", lambda folder, variables: True)
    monkeypatch.setattr(build, "run_logged", lambda *words, **_: installed.append(words[0]))
    build.install(env, build.Flavour())
    put(env.folder, "spanflow-0.1.0")
    build.install(env, build.Flavour())
    assert len(installed) == 1
    (env.folder / "lib/python3.11/site-packages/spanflow-0.1.0.dist-info").rmdir()
    build.install(env, build.Flavour())
    assert len(installed) == 2


def test_stamps_are_written_whole(env, monkeypatch):
    env.note_stamp("build", "one")

    def broken(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(venv.os, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        env.note_stamp("build", "two")
    assert env.stamps() == {"build": "one"}


def test_a_damaged_stamp_file_counts_as_none(env):
    (env.folder / venv.STAMPS).write_text('{"build": ')
    assert env.stamps() == {}


def test_an_environment_of_our_own_is_made_anew(tmp_path, ran):
    folder = make_folder(tmp_path / ".venv", version="3.10.1")
    (folder / venv.STAMPS).write_text("{}")

    def create(name, command, **_):
        assert not folder.exists()
        make_folder(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(venv, "run_logged", create)
        env = venv.Environment(folder, sys.executable)
    assert env.stamps() == {}
    assert venv.is_ours(folder)


def test_a_persons_environment_is_left_alone(tmp_path, ran):
    folder = make_folder(tmp_path / ".venv", version="3.10.1")
    with pytest.raises(DoorError, match=r"\.venv is there, .* move or delete it") as caught:
        venv.Environment(folder, sys.executable)
    assert caught.value.code == 2 and folder.exists() and ran == []


def test_half_of_an_environment_does_not_stay(tmp_path, ran, monkeypatch):
    folder = tmp_path / ".venv"

    def create(name, command, **_):
        make_folder(folder)
        raise DoorError("no ensurepip")

    monkeypatch.setattr(venv, "run_logged", create)
    with pytest.raises(DoorError):
        venv.Environment(folder, sys.executable)
    assert not folder.exists()
