"""A report as one HTML page that needs nothing else: data, plots (plotly) and style are inside."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

INSTALL = "python -m pip install 'spanflow[lab]' installs what the page's plots need"
_TEMPLATE = Path(__file__).with_name("page.html")


def can_draw() -> bool:
    """Whether page() has what it needs."""
    return importlib.util.find_spec("plotly") is not None


def page(
    machine: dict[str, Any], results: list[dict[str, Any]], ceilings: list[dict[str, Any]]
) -> str:
    """The page's text. ImportError where plotly is not installed, with what to do."""
    try:
        from plotly.offline import get_plotlyjs  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise ImportError(f"the HTML page needs plotly: {INSTALL}") from None
    data = json.dumps({"machine": machine, "results": results, "ceilings": ceilings})
    template = _TEMPLATE.read_text(encoding="utf-8")
    # Inside of a script element nothing may look like its end.
    return template.replace("/*PLOTLY*/", get_plotlyjs()).replace(
        "/*DATA*/null", data.replace("</", "<\\/")
    )
