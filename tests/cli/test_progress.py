"""The progress bar shows file names as they are."""

import io
import sys

import pytest

from spanflow._progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("with_rich", [True, False])
def test_a_name_is_no_markup(with_rich, monkeypatch):
    if with_rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with progress("t[bold].npy", 10) as bar:
        bar.update(5)
    assert "t[bold].npy" in terminal.getvalue()
