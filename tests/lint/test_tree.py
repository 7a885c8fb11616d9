"""What must not be in the tree: paths of one machine, strays at the top, forgotten markers."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    "setup.py",
    "meson.build",
    "meson.options",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "csrc",
    "pkg",
    "tests",
    "bench",
    "docs",
}
# Folders that every Linux machine has are fine; a home folder or this checkout's own place is not.
PLACES = "|".join(["/home/\\w", "/Users/\\w", re.escape(f"{Path.home()}/"), re.escape(f"{ROOT}/")])
MACHINE_PATH = re.compile(rf"(?<![\w.$}}~-])(?:{PLACES})")

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")


def tracked_files():
    command = ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_nothing_else_at_the_top():
    tops = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert {name for name in tops if not name.startswith(".")} - TOP_LEVEL == set()


def test_no_machine_paths():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_files()
        if path.suffix != ".svg" and path != Path(__file__).resolve()
        for match in MACHINE_PATH.finditer(text_of(path))
    ]
    assert found == []


def test_no_markers_left():
    marker = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix in (".h", ".cc", ".py", ".pyi", ".build") and marker.search(text_of(path))
    ]
    assert found == []


def test_files_stay_short():
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked_files()
        if path.suffix in (".h", ".cc", ".py") and (count := text_of(path).count("\n")) > 800
    }
    assert long == {}


def test_every_room_has_a_readme_that_names_its_headers():
    for room in sorted(path for path in (ROOT / "csrc").iterdir() if path.is_dir()):
        text = (room / "README.md").read_text(encoding="utf-8")
        missing = [header.name for header in room.glob("*.h") if f"`{header.name}`" not in text]
        assert missing == [], room.name
