"""A real browser for pages that the package writes."""

import os
import shutil
import subprocess

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def browse(page, *options):
    """The browser's output and what its console said."""
    command = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--window-size=1200,1900",
        "--virtual-time-budget=10000",
        f"--user-data-dir={page.parent / 'browser'}",
        *options,
        page.as_uri(),
    ]
    # A sanitizer that was loaded into this process would stop the browser.
    variables = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=variables
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
