"""The code in README.md and docs/ runs as it is written, and every link leads somewhere."""

import pydoc
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("csrc/**/README.md")),
    ROOT / "bench" / "README.md",
    ROOT / "tests" / "README.md",
]
TAUGHT = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
TAUGHT += sorted((ROOT / "docs" / "how-to").glob("*.md"))


def name_of(page):
    return str(page.relative_to(ROOT))


def code_of(page):
    return CODE.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", TAUGHT, ids=name_of)
def test_code_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("numpy")
    import spanflow as sf

    blocks = code_of(page)
    assert blocks, "a page that teaches has code"
    monkeypatch.chdir(tmp_path)
    threads = sf.get_num_threads()
    names = {"__name__": "page"}
    try:
        for number, block in enumerate(blocks, 1):
            exec(compile(block, f"{name_of(page)}, block {number}", "exec"), names)
    finally:
        sf.set_num_threads(threads)


def test_the_tour_is_short():
    (tour,) = code_of(ROOT / "README.md")
    lines = [line for line in tour.splitlines() if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    paths = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link]
    missing = [path for path in paths if path and not (page.parent / path).exists()]
    assert missing == []


def test_every_room_is_explained():
    rooms = {path.parent.name for path in ROOT.glob("csrc/*/meson.build")}
    explained = {path.stem for path in ROOT.glob("docs/explanation/*.md")}
    assert rooms - explained == set()


def test_every_public_name_is_in_the_reference():
    import spanflow as sf

    reference = "".join(path.read_text() for path in ROOT.glob("docs/reference/*.md"))
    words = set(re.findall(r"\w+", reference))
    assert set(sf.__all__) - words - {"__version__"} == set()


def test_help_shows_no_addresses():
    import spanflow as sf

    names = set(sf.__all__) - {"__version__"}
    texts = [pydoc.render_doc(getattr(sf, name)) for name in sorted(names)]
    assert [line for text in texts for line in text.splitlines() if "object at 0x" in line] == []


def test_the_table_of_operations_is_the_registry():
    import spanflow as sf

    table = (ROOT / "docs" / "reference" / "operations.md").read_text(encoding="utf-8")
    table = table.replace("&#124;", "|")
    for operation in vars(sf).values():
        if isinstance(operation, sf.Operation):
            summary = operation.__doc__.partition("\n\n")[2].partition("\n")[0]
            summary = summary.partition(": ")[2] or summary.removeprefix("Reduces to ")
            assert f"`{operation.__name__}(" in table
            assert summary.rstrip(".") in table, operation.__name__
