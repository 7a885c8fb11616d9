"""Builds the wheel as `pip install .` does, and proves it in a clean environment."""

import shutil
import zipfile

from . import build
from .ui import ROOT, DoorError, note, run_logged, run_shown, step
from .venv import quiet_env

DIST = ROOT / "dist"


def run(env, flavour):
    """dist/*.whl through an isolated PEP 517 build, then a smoke test from a new venv."""
    build.prepare(env)
    folder = build.BUILD / f"{env.tag}-wheel"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(DIST, ignore_errors=True)
    variables = {**build.build_variables(env, flavour), "PYTHONPATH": ""}
    with step(f"wheel for Python {env.facts['version']}, in an isolated build"):
        settings = [f"build-dir={folder.relative_to(ROOT)}"]
        settings.append(f"setup-args=-Dwerror={str(flavour.werror).lower()}")
        command = [env.python, "-m", "pip", "wheel", "--no-input", "-v", "--no-deps", "-w", DIST]
        command += [f"--config-settings={setting}" for setting in settings]
        run_logged("wheel", [*command, "."], env=variables)
    wheel = next(DIST.glob("*.whl"))
    _check_contents(wheel)
    return _smoke(env, wheel)


def _check_contents(wheel):
    """Nothing may be in the wheel that does not belong there; its size is part of the output."""
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    strays = [e.filename for e in entries if e.filename.endswith((".pyc", ".a", ".cc", ".h"))]
    if strays:
        raise DoorError(f"{wheel.name} carries {strays}")
    for needed in ("spanflow/py.typed", "spanflow/__init__.py"):
        if needed not in [entry.filename for entry in entries]:
            raise DoorError(f"{wheel.name} lacks {needed}")
    packed, unpacked = wheel.stat().st_size, sum(entry.file_size for entry in entries)
    note(f"dist/{wheel.name}: {packed / 1024:.0f} KiB packed, {unpacked / 1024:.0f} KiB installed")


def _smoke(env, wheel):
    clean = build.BUILD / "wheel-venv"
    with step("clean environment with nothing but the wheel"):
        run_logged("wheel-venv", [env.python, "-m", "venv", "--clear", clean])
        install = [clean / "bin" / "python", "-m", "pip", "install", "--no-input", wheel]
        run_logged("wheel-install", install, env=quiet_env())
    return run_shown(
        [clean / "bin" / "python", "-I", ROOT / ".ci" / "smoke.py"], env=quiet_env(), cwd=clean
    )
