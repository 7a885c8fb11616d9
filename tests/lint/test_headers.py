"""Every header says what it is for, who owns what, and on which terms it may be called."""

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
HEADERS = sorted(CSRC.rglob("*.h"))
WORDS = ("Owns:", "Threads:", "Attached:", "Fails:")


def opening_comment(text):
    """The comment lines that a file begins with."""
    return re.match(r"(?://.*\n)*", text).group()


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: str(path.relative_to(CSRC)))
def test_header_opens_with_its_terms(path):
    text = path.read_text(encoding="utf-8")
    opening = opening_comment(text)
    assert opening, "the first line must say in one sentence what the header is for"
    assert [word for word in WORDS if word not in opening] == []
    if not path.name.endswith("-inl.h"):  # Highway includes these once per target
        assert text[len(opening) :].lstrip().startswith("#pragma once")
