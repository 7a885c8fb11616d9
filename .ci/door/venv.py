"""Virtual environments: one per interpreter beside the tree, with what each verb needs inside."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import interpreters, project
from .ui import ROOT, DoorError, note, run_logged, say, step

_DESCRIBE = """
import json, os, sys, sysconfig
print(json.dumps({
    "home": os.path.realpath(os.path.dirname(getattr(sys, "_base_executable", sys.executable))),
    "version": "%d.%d.%d" % sys.version_info[:3],
    "tag": sysconfig.get_config_var("EXT_SUFFIX").strip(".").removesuffix(".so"),
}))
"""


STAMPS = "spanflow-stamps.json"


def is_ours(folder):
    """Whether this door made or filled an environment, so that it may delete it."""
    return (folder / STAMPS).is_file() and not folder.is_symlink()


def describe(python):
    """Where an interpreter lives, its version, and the tag of the extensions it loads."""
    done = subprocess.run(
        [str(python), "-I", "-c", _DESCRIBE], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DoorError(f"{python} does not run: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Environment:
    """A virtual environment of the project; `python` runs in it, `tag` names its build folder."""

    def __init__(self, folder, interpreter):
        self.folder = folder
        self.name = folder.name
        self.python = folder / "bin" / "python"
        self.facts = describe(interpreter)
        self.tag = self.facts["tag"]
        self._stamp_path = folder / STAMPS
        if not self._matches():
            self._create(interpreter)

    def _matches(self):
        config = self.folder / "pyvenv.cfg"
        if not config.exists() or not self.python.exists():
            return False
        pairs = (line.partition("=") for line in config.read_text().splitlines())
        values = {key.strip(): value.strip() for key, _, value in pairs}
        home = os.path.realpath(values.get("home", ""))
        return (home, values.get("version")) == (self.facts["home"], self.facts["version"])

    def _create(self, interpreter):
        if self.folder.exists() and not is_ours(self.folder):
            raise DoorError(
                f"{self.name} is there, but not for Python {self.facts['version']} and not made by "
                "setup.py, which therefore leaves it alone: move or delete it, then run again",
                code=2,
            )
        with step(f"{self.name} for Python {self.facts['version']}"):
            if self.folder.exists():
                note("it belonged to another interpreter; making it anew")
                shutil.rmtree(self.folder)
            try:
                command = [interpreter, "-m", "venv", self.folder]
                run_logged(f"{self.name.strip('.')}-create", command)
            except BaseException:
                shutil.rmtree(self.folder, ignore_errors=True)  # half of one would look complete
                raise
        self._write_stamps({})

    def stamps(self):
        """What was put into this environment and from what, as noted by note_stamp."""
        try:
            return json.loads(self._stamp_path.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def note_stamp(self, key, value):
        self._write_stamps({**self.stamps(), key: value})

    def _write_stamps(self, stamps):
        whole = self._stamp_path.with_name(f"{STAMPS}.{os.getpid()}")
        whole.write_text(json.dumps(stamps, indent=1))
        os.replace(whole, self._stamp_path)

    def lacks(self, requirements):
        """Those of the requirements of which no distribution of that name is installed."""
        infos = self.folder.glob("lib/python*/site-packages/*.dist-info")
        installed = {_plain_name(info.name.partition("-")[0]) for info in infos}
        return [line for line in requirements if _plain_name(line) not in installed]

    def ensure(self, what, requirements):
        """Installs a named group of requirements unless exactly these are in place."""
        digest = project.digest_of(requirements)
        if self.stamps().get(what) == digest and not self.lacks(requirements):
            return
        with step(f"{self.name}: Python packages to {what}"):
            # An older wheel rather than a newer source that would need a compiler of its own.
            install = [self.python, "-m", "pip", "install", "--no-input", "--prefer-binary"]
            name = f"{self.name.strip('.')}-{what}"
            run_logged(name, [*install, *requirements], env=quiet_env())
        self.note_stamp(what, digest)

    def offer(self, requirements):
        """Installs what is missing of the requirements and has a wheel for this interpreter."""
        for line in self.lacks(requirements):
            name = _plain_name(line)
            install = [self.python, "-m", "pip", "install", "--no-input", "--only-binary", ":all:"]
            try:
                with step(f"{self.name}: {name}"):
                    run_logged(f"{self.name.strip('.')}-{name}", [*install, line], env=quiet_env())
            except DoorError:
                note(f"{name} cannot be had here: what is about it goes without")


def _plain_name(requirement):
    """The name of a requirement or distribution, as the registry compares them."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]*\w", requirement).group()).lower()


def quiet_env():
    """The environment of pip: no questions, no advice."""
    return {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}


def default_environment():
    """.venv, for the interpreter that runs setup.py (or the one behind it, when that is a venv)."""
    return Environment(ROOT / ".venv", getattr(sys, "_base_executable", sys.executable))


def environment(wanted):
    """The environment for --python WANTED, or the default one."""
    if wanted is None:
        return default_environment()
    return Environment(ROOT / f".venv-{wanted}", interpreters.get(wanted))


def native_headers(env):
    """A folder with the Boost headers and mimalloc, shared by all interpreters."""
    _, requirements = project.build_requirements()
    folder = interpreters.cache_folder() / f"native-{project.digest_of(requirements)}"
    if folder.exists():
        return folder
    say("Boost headers and mimalloc, for all interpreters (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        target = Path(work) / "native"
        options = ["--no-input", "--no-deps", "--no-compile", "--target", target]
        install = [env.python, "-m", "pip", "install", *options, *requirements]
        run_logged("native-headers", install, env=quiet_env())
        try:
            target.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another process was first, which is as good
                raise
    return folder
