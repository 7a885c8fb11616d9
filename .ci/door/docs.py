"""Checks every link between the Markdown pages and renders them as plain HTML into build/docs."""

import re
from urllib.parse import unquote

from . import project
from .build import BUILD
from .ui import ROOT, note, run_logged, say

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
RENDER = """
import pathlib, sys, markdown
root, out = map(pathlib.Path, sys.argv[1:3])
for name in sys.argv[3:]:
    source = root / name
    body = markdown.markdown(source.read_text(encoding="utf-8"), extensions=["extra", "toc"])
    body = body.replace('.md"', '.html"').replace(".md#", ".html#")
    target = (out / name).with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    page = f'<!doctype html><meta charset="utf-8"><title>{source.stem}</title>'
    page += '<style>body{max-width:52rem;margin:2rem auto;font-family:sans-serif}</style>'
    target.write_text(page + body, encoding="utf-8")
"""


def run(env):
    """Fails when a link leads nowhere; returns an exit code."""
    say("docs: links")
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *ROOT.glob("csrc/*.md")]
    pages = [page for page in pages if page.exists()]
    broken = [message for page in pages for message in broken_links(page)]
    for message in broken:
        note(message)
    env.ensure("docs", project.extra("docs"))
    out = BUILD / "docs"
    names = [page.relative_to(ROOT) for page in pages]
    run_logged("docs", [env.python, "-c", RENDER, ROOT, out, *names])
    note(f"{len(pages)} pages in {out.relative_to(ROOT)}, {len(broken)} broken links")
    return 1 if broken else 0


def broken_links(page):
    """What is wrong with the relative links of one page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in LINK.findall(text):
        path = unquote(link.partition("#")[0])
        outside = "://" in link or link.startswith("mailto:")
        if path and not outside and not (page.parent / path).exists():
            yield f"{page.relative_to(ROOT)}: {link} leads nowhere"
