"""Builds the extension and installs the package: one Meson folder per interpreter and flavour."""

import json
import os
import shutil
from dataclasses import dataclass

from . import project, system
from .ui import ROOT, answer, run_logged, step
from .venv import native_headers, quiet_env

BUILD = ROOT / "build"


@dataclass(frozen=True)
class Flavour:
    """How to compile: `compiler` is None (the system's c++), "gcc" or "clang"; `simd` is "all"
    targets or "scalar", the fallback alone."""

    compiler: str | None = None
    werror: bool = False
    simd: str = "all"

    @property
    def suffix(self):
        names = [self.compiler, None if self.simd == "all" else self.simd]
        return "".join(f"-{name}" for name in names if name)

    def variables(self):
        """The environment variable that chooses the compiler."""
        if self.compiler is None:
            return {}
        name = system.find_clang()[1] if self.compiler == "clang" else "g++"
        # Meson puts ccache before a compiler only when it chose the compiler itself.
        return {"CXX": f"ccache {name}" if shutil.which("ccache") else name}


def prepare(env):
    """What every build needs in the environment; quick when it is there."""
    requirements, _ = project.build_requirements()
    env.ensure("build", ["pip>=23.1", *requirements])


def build_variables(env, flavour):
    """The process environment of a build: our tools first, a cache that ignores folders."""
    return {
        **quiet_env(),
        "PATH": f"{env.python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(native_headers(env)),
        "CCACHE_BASEDIR": str(ROOT),
        "CCACHE_NOHASHDIR": "1",
        **flavour.variables(),
    }


def build_folder(name, identity):
    """build/NAME; emptied first when it was configured for another interpreter or compiler."""
    folder = BUILD / name
    label = BUILD / f"{name}.json"
    wanted = json.dumps(identity, sort_keys=True)
    if folder.exists() and not (label.exists() and label.read_text() == wanted):
        shutil.rmtree(folder)
    BUILD.mkdir(exist_ok=True)
    label.write_text(wanted)
    return folder


def install(env, flavour):
    """Builds and installs spanflow into the environment; returns the build folder."""
    prepare(env)
    variables = build_variables(env, flavour)
    identity = {**env.facts, "native": variables["PYTHONPATH"], "cxx": variables.get("CXX")}
    folder = build_folder(env.tag + flavour.suffix, identity)
    stamp = [project.digest_of_sources(), str(flavour)]
    installed = env.stamps().get("spanflow") == stamp and not env.lacks(["spanflow"])
    if installed and nothing_to_do(folder, variables):
        return folder
    with step(f"build spanflow for Python {env.facts['version']}{flavour.suffix}"):
        settings = [f"build-dir={folder.relative_to(ROOT)}", "setup-args=-Dtests=true"]
        settings.append(f"setup-args=-Dwerror={str(flavour.werror).lower()}")
        if flavour.simd != "all":
            settings.append(f"setup-args=-Dsimd={flavour.simd}")
        command = [env.python, "-m", "pip", "install", "--no-input", "-v"]
        command += ["--no-build-isolation", "--no-deps", "--force-reinstall"]
        command += [f"--config-settings={setting}" for setting in settings]
        run_logged(f"build-{folder.name}", [*command, "."], env=variables)
    env.note_stamp("spanflow", stamp)
    return folder


def nothing_to_do(folder, variables):
    """Whether Ninja finds every target up to date: it also knows system headers."""
    if not (folder / "build.ninja").exists():
        return False
    said = answer(["ninja", "-C", folder, "-n"], env=variables)
    return said is not None and "no work to do" in said
