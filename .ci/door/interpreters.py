"""Other interpreters: finds a default one, or builds it from the distribution's source package.

No distribution ships a free-threaded interpreter and no registry holds one, so it is built once,
into the user's cache, keyed by version and flags. The source package comes through apt itself, from
the mirror that this machine already uses, without touching the system's own package lists.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from . import system
from .ui import DoorError, answer, note, run_logged, say, step

# The releases whose source packages hold a version.
SOURCE_SUITES = {
    ("debian", "3.13"): ["trixie"],
    ("debian", "3.14"): ["forky", "sid"],
    ("ubuntu", "3.13"): ["questing", "plucky"],
    ("ubuntu", "3.14"): ["resolute"],
}
FREE_THREADED = ["--disable-gil"]
CONFIGURE_FLAGS = {"3.13": [], "3.13t": FREE_THREADED, "3.14": [], "3.14t": FREE_THREADED}
FINDABLE = ("3.11", "3.12", "3.13", "3.14")

_VERIFY = """
import json, ssl, zlib, ctypes, bz2, lzma, sqlite3, sys, sysconfig, venv, ensurepip, os
if sys.version_info >= (3, 12):
    import _testbuffer
if sys.version_info >= (3, 13):
    import _interpreters
header = os.path.join(sysconfig.get_path("include"), "Python.h")
assert os.path.exists(header), f"{header} is missing"
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
}))
"""


def cache_folder():
    """Where what is expensive to make is kept, outside the tree."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spanflow"


def get(wanted):
    """The path of an interpreter of the wanted kind ("3.13t", …), built when none is found."""
    if wanted not in CONFIGURE_FLAGS and wanted not in FINDABLE:
        known = ", ".join(sorted({*FINDABLE, *CONFIGURE_FLAGS}))
        raise DoorError(f"Python {wanted} is not known here; it must be one of {known}", code=2)
    for candidate in [*_built(wanted), *_on_this_machine(wanted)]:
        if _complaint(candidate, wanted) is None:
            return candidate
    if wanted not in CONFIGURE_FLAGS:
        raise DoorError(f"no complete Python {wanted} (with headers and venv) was found", code=2)
    with _only_builder():
        for candidate in _built(wanted):  # another process may have built it while this one waited
            if _complaint(candidate, wanted) is None:
                return candidate
        return _build(wanted)


@contextmanager
def _only_builder():
    """Two processes must not build into the same cache at once."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with open(cache_folder() / "building.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _built(wanted):
    """Interpreters that an earlier run built, newest version first."""
    name = f"python{wanted}"
    folders = sorted(cache_folder().glob("cpython-*"), key=_version_key, reverse=True)
    return [folder / "bin" / name for folder in folders if (folder / "bin" / name).exists()]


def _version_key(folder):
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _on_this_machine(wanted):
    """Candidates beside the one that runs now: itself, the PATH, and pyenv's versions."""
    name = f"python{wanted}"
    yield Path(getattr(sys, "_base_executable", sys.executable))
    for folder in os.get_exec_path():
        if (Path(folder) / name).exists():
            yield Path(folder) / name
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in sorted(pyenv.glob(f"versions/{wanted}*"), key=_version_key, reverse=True):
        yield version / "bin" / name


def _complaint(python, wanted):
    """None when the interpreter is what is wanted and complete, else the reason."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _VERIFY], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["it does not run"])[-1]
    facts = json.loads(done.stdout)
    free_threaded = wanted.endswith("t")
    if facts["version"] != wanted.rstrip("t") or facts["free_threaded"] != free_threaded:
        return f"it is {facts}"
    if facts["gil"] == free_threaded:
        return f"its GIL is {'on' if facts['gil'] else 'off'}"
    return None


def _build(wanted):
    """Builds the wanted interpreter into the cache and verifies it."""
    system.ensure([*system.BUILD, *system.INTERPRETER])
    tarball = _fetch_source(wanted.rstrip("t"))
    version = tarball.name.partition("_")[2].partition(".orig")[0]
    kind = "-freethreaded" if wanted.endswith("t") else ""
    prefix = cache_folder() / f"cpython-{version}{kind}"
    work = cache_folder() / "work" / prefix.name
    say(f"building Python {version}{kind} into {prefix} (once; several minutes)")
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(prefix, ignore_errors=True)
    work.mkdir(parents=True)
    with step("unpack and configure"):
        run_logged("cpython-unpack", ["tar", "-xf", tarball, "--strip-components=1"], cwd=work)
        flags = [f"--prefix={prefix}", "--with-ensurepip=install", *CONFIGURE_FLAGS[wanted]]
        run_logged("cpython-configure", ["./configure", *flags], cwd=work)
    with step("compile"):
        run_logged("cpython-make", ["make", f"-j{os.cpu_count() or 1}"], cwd=work)
    with step("install"):
        run_logged("cpython-install", ["make", "altinstall"], cwd=work)
    python = prefix / "bin" / f"python{wanted}"
    complaint = _complaint(python, wanted)
    if complaint:
        shutil.rmtree(prefix, ignore_errors=True)
        raise DoorError(f"the new interpreter does not pass its check: {complaint}")
    shutil.rmtree(work, ignore_errors=True)
    return python


def _fetch_source(version):
    """Downloads the upstream tarball of the distribution's source package, verified by apt."""
    folder = cache_folder() / "source"
    present = sorted(folder.glob(f"python{version}_{version}.*.orig.tar.*z"), key=_version_key)
    if present:
        return present[-1]
    for suite in SOURCE_SUITES.get((system.os_release().get("ID", ""), version), []):
        with step(f"source package of Python {version} ({suite})"):
            try:
                _apt_source(suite, version, folder)
            except DoorError as error:
                note(str(error))
        present = sorted(folder.glob(f"python{version}_{version}.*.orig.tar.*z"), key=_version_key)
        if present:
            return present[-1]
    raise DoorError(
        f"no source package of Python {version} could be fetched through apt; install a "
        f"python{version} (with headers and venv) by other means and put it on the PATH"
    )


def _apt_source(suite, version, folder):
    """apt-get source with package lists of its own, so that neither root nor /etc is touched."""
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    sources = state / "spanflow.sources"
    sources.write_text(_source_entry(suite))
    options = [
        *("-o", f"Dir::Etc::SourceList={sources}"),
        *("-o", "Dir::Etc::SourceParts=-"),
        *("-o", f"Dir::State::Lists={state}/lists"),
        *("-o", f"Dir::Cache={state}/cache"),
        *("-o", "APT::Sandbox::User="),
    ]
    run_logged("apt-source-update", ["apt-get", *options, "update"])
    command = ["apt-get", *options, "source", "--download-only", "--tar-only", f"python{version}"]
    run_logged("apt-source", command, cwd=folder)


def _source_entry(suite):
    """A deb-src entry for the suite, on the mirrors that the system's own release comes from."""
    release = system.os_release()
    lines = answer(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"]
    )
    mirrors = []
    for line in (lines or "").splitlines():
        uri, _, codename = line.partition(" ")
        if codename == release.get("VERSION_CODENAME") and uri not in mirrors:
            mirrors.append(uri)
    if not mirrors:
        raise DoorError("apt knows no mirror of this release; run apt-get update first")
    keyring = Path(f"/usr/share/keyrings/{release['ID']}-archive-keyring.gpg")
    signed_by = f"Signed-By: {keyring}\n" if keyring.exists() else ""
    return (
        f"Types: deb-src\nURIs: {' '.join(mirrors)}\nSuites: {suite}\nComponents: main\n{signed_by}"
    )
