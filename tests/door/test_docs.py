"""The rendered pages: what they link to comes along, and dead links are found in the HTML."""

import pytest
from door import docs, interpreters
from door.ui import DoorError


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "docs").mkdir(parents=True)
    (root / "LICENSE").write_text("free")
    (root / "map.png").write_bytes(b"png")
    return root


def test_linked_files_come_along(tree, tmp_path):
    page = tree / "docs" / "page.md"
    page.write_text("![map](../map.png) [license](../LICENSE#top) [x](gone) [y](other.md)")
    (tree / "docs" / "other.md").write_text("")
    docs.copy_linked_files(tree, [page], tmp_path / "out")
    copied = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert copied == ["LICENSE", "map.png"]


@pytest.mark.parametrize(
    "link, said",
    [
        ('<a href="other.html">', None),
        ('<a href="other.html#there">', None),
        ('<a href="#here">', None),
        ('<a href="https://example.org/x.md">', None),
        ('<img src="map.png">', "map.png leads nowhere"),
        ('<a href="other.md">', "other.md leads nowhere"),
        ('<a href="other.html#gone">', "there is no #gone in other.html"),
        ('<a href="../outside.html">', "leads nowhere"),
    ],
)
def test_dead_links(link, said, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "outside.html").write_text("")
    (out / "other.html").write_text('<h1 id="there">')
    page = out / "page.html"
    page.write_text(f'<p id="here">{link}')
    found = list(docs.broken_links(page, out))
    assert len(found) == (said is not None) and all(said in message for message in found)


def test_interpreters_that_are_known(monkeypatch):
    monkeypatch.setattr(interpreters, "_built", lambda wanted: [wanted])
    monkeypatch.setattr(interpreters, "_complaint", lambda python, wanted: None)
    for wanted in ("3.11", "3.13", "3.13t", "3.14", "3.14t"):
        assert interpreters.get(wanted) == wanted
    with pytest.raises(DoorError, match="must be one of 3.11, "):
        interpreters.get("3.9")
