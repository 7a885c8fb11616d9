"""System packages: found, installed as root, or the one command that a person has to type."""

from types import SimpleNamespace

import pytest
from door import system
from door.ui import DoorError

INSTALLED = "g++:amd64 installed\nmake installed\nccache config-files\n"


@pytest.fixture
def machine(monkeypatch):
    """A machine with apt-get, g++ and make, where we are nobody; `programs` and `uid` can change."""

    here = SimpleNamespace(programs={"apt-get"}, uid=1000, ran=[])

    def answer(command):
        if command[0] == "sudo":
            return None
        return INSTALLED if command[0] == "dpkg-query" else None

    monkeypatch.setattr(system, "answer", answer)
    monkeypatch.setattr(system.os, "geteuid", lambda: here.uid)
    monkeypatch.setattr(
        system.shutil, "which", lambda name: name if name in here.programs else None
    )
    monkeypatch.setattr(system, "run_logged", lambda name, command: here.ran.append(command))
    return here


def test_what_is_installed_is_not_missing(machine):
    assert system.missing(["g++", "make", "ccache", "pkg-config"]) == ["ccache", "pkg-config"]


def test_nothing_to_do(machine):
    system.ensure(["g++", "make"])
    assert machine.ran == []


def test_root_installs(machine):
    machine.uid = 0
    system.ensure(["g++", "ccache", "ccache"])
    update, install = machine.ran
    assert update[-1] == "update"
    assert install[-4:] == ["install", "-y", "--no-install-recommends", "ccache"]


def test_a_failed_update_is_not_the_end(machine, monkeypatch):
    machine.uid = 0

    def run_logged(name, command):
        if name == "apt-update":
            raise DoorError("no network")
        machine.ran.append(command)

    monkeypatch.setattr(system, "run_logged", run_logged)
    system.ensure(["ccache"])
    assert len(machine.ran) == 1


def by_hand(machine):
    with pytest.raises(DoorError) as caught:
        system.ensure(["g++", "ccache", "pkg-config"])
    assert caught.value.code == 2 and machine.ran == []
    return str(caught.value)


def test_the_command_where_there_is_no_sudo(machine):
    said = by_hand(machine)
    assert "as root" in said and "sudo" not in said
    assert (
        "\n    apt-get update && apt-get install -y --no-install-recommends ccache pkg-config\n"
        in said
    )


def test_the_command_where_sudo_asks_for_a_password(machine):
    machine.programs = {"apt-get", "sudo"}
    said = by_hand(machine)
    assert "sudo apt-get update && sudo apt-get install -y" in said and "as root" not in said


def test_another_distribution(machine):
    machine.programs = {"make", "c++", "objcopy", "pkg-config"}
    system.ensure(["g++"])
    machine.programs = {"make"}
    with pytest.raises(DoorError, match="has no apt-get, and c\\+\\+, pkg-config"):
        system.ensure(["g++", "pkg-config"])
