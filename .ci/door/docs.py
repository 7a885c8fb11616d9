"""Checks every link between the Markdown pages and renders them as plain HTML into build/docs.

What the pages link to beside each other (pictures, the license) is copied to the same place. The
links are checked in the finished HTML: what a reader would click on counts.
"""

import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

from . import project
from .build import BUILD
from .ui import ROOT, note, run_logged, say

PAGES = ("README.md", "CHANGELOG.md", "docs/**/*.md", "csrc/README.md", "csrc/*/README.md")
PAGES += ("tests/README.md", "bench/README.md")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
RENDER = r"""
import pathlib, re, sys, markdown
root, out = map(pathlib.Path, sys.argv[1:3])
to_page = re.compile(r'(href="(?!\w+:)[^"#]*)\.md(?=["#])')
for name in sys.argv[3:]:
    source = root / name
    body = markdown.markdown(source.read_text(encoding="utf-8"), extensions=["extra", "toc"])
    body = to_page.sub(r"\1.html", body)
    target = (out / name).with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    page = f'<!doctype html><meta charset="utf-8"><title>{source.stem}</title>'
    page += '<style>body{max-width:52rem;margin:2rem auto;font-family:sans-serif}</style>'
    target.write_text(page + body, encoding="utf-8")
"""


def run(env):
    """Fails when a link leads nowhere; returns an exit code."""
    say("docs: links")
    pages = [page for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    env.ensure("docs", project.extra("docs"))
    out = BUILD / "docs"
    shutil.rmtree(out, ignore_errors=True)
    run_logged("docs", [env.python, "-c", RENDER, ROOT, out, *(p.relative_to(ROOT) for p in pages)])
    copy_linked_files(ROOT, pages, out)
    broken = [
        message for page in sorted(out.rglob("*.html")) for message in broken_links(page, out)
    ]
    for message in broken:
        note(message)
    note(f"{len(pages)} pages in {out.relative_to(ROOT)}, {len(broken)} broken links")
    return 1 if broken else 0


def copy_linked_files(root, pages, out):
    """Copies what is no page itself and yet linked to, from inside the tree."""
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in LINK.findall(text):
            source = (page.parent / unquote(link.partition("#")[0])).resolve()
            if source.is_file() and source.suffix != ".md" and source.is_relative_to(root):
                target = out / source.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


class _Page(HTMLParser):
    """The links of a page and the anchors in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.links += [named[key] for key in ("href", "src") if named.get(key)]
        self.anchors.update(named[key] for key in ("id", "name") if named.get(key))


def broken_links(page, out):
    """What is wrong with the relative links of one rendered page."""
    for link in _Page(page).links:
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (page.parent / unquote(path)).resolve() if path else page
        if not target.is_file() or not target.is_relative_to(out.resolve()):
            yield f"{page.relative_to(out)}: {link} leads nowhere"
        elif anchor and target.suffix == ".html" and unquote(anchor) not in _Page(target).anchors:
            yield f"{page.relative_to(out)}: there is no #{anchor} in {target.relative_to(out)}"
