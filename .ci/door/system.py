"""System packages: finds what is missing on Debian and Ubuntu and installs it, or says how."""

import os
import platform
import shutil
import sys

from .ui import DoorError, answer, note, run_logged, step

BUILD = ["g++", "make", "pkg-config", "binutils", "ccache", "libhwy-dev", "libgtest-dev"]
INTERPRETER = [
    "make",
    "xz-utils",
    "libssl-dev",
    "zlib1g-dev",
    "libffi-dev",
    "libbz2-dev",
    "liblzma-dev",
    "libsqlite3-dev",
]
OLDEST_CLANG = 14


def python_packages():
    """What a distribution splits off its interpreter; one from elsewhere has it all."""
    if sys.base_prefix != "/usr":
        return []
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [f"{name}-venv", f"{name}-dev"]


def os_release():
    """The distribution's own words about itself: ID, VERSION_CODENAME and so on."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def missing(packages):
    """Those of the named packages that dpkg does not list as installed."""
    listed = answer(["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Status}\n"]) or ""
    installed = {
        line.split()[0].partition(":")[0]
        for line in listed.splitlines()
        if line.endswith(" installed")
    }
    return [package for package in packages if package not in installed]


def ensure(packages):
    """Makes sure that the packages are installed; a second run costs one dpkg-query."""
    if shutil.which("apt-get") is None:
        _explain_other_system(packages)
        return
    absent = missing(dict.fromkeys(packages))
    if not absent:
        return
    prefix = _root_prefix()
    if prefix is None:
        raise DoorError(_by_hand(absent), code=2)
    install = ["apt-get", "install", "-y", "--no-install-recommends", *absent]
    with step(f"system packages: {' '.join(absent)}"):
        apt_options = ["-o", "DPkg::Lock::Timeout=300"]
        quiet = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
        try:
            run_logged("apt-update", [*quiet, "apt-get", *apt_options, "update"])
        except DoorError:
            note("apt-get update failed; trying with the package lists that are here")
        run_logged("apt-install", [*quiet, "apt-get", *apt_options, *install[1:]])


def _by_hand(absent):
    """What a person types who may become root; a bare machine has no package lists and no sudo."""
    sudo = "sudo " if shutil.which("sudo") else ""
    names = " ".join(absent)
    return (
        f"these system packages are missing: {names}\n"
        f"Install them once{'' if sudo else ' as root'} with\n"
        f"    {sudo}apt-get update && "
        f"{sudo}apt-get install -y --no-install-recommends {names}\n"
        "and run the same setup.py command again."
    )


def _root_prefix():
    """The words that make a command run as root, or None when that needs a question."""
    if os.geteuid() == 0:
        return []
    if answer(["sudo", "-n", "true"]) is not None:
        return ["sudo", "-n"]
    return None


def _explain_other_system(packages):
    """Without apt the person installs; the build itself says what it does not find."""
    tools = [
        tool for tool in ("c++", "pkg-config", "objcopy", "make") if shutil.which(tool) is None
    ]
    if tools:
        raise DoorError(
            f"this system has no apt-get, and {', '.join(tools)} cannot be found. Install what "
            f"corresponds to these Debian packages: {' '.join(packages)}",
            code=2,
        )


def find_clang():
    """(version, clang++): the newest on the PATH, or the distribution's, installed now."""
    found = _newest_clang()
    if found is None:
        ensure(["clang"])
        found = _newest_clang()
    if found is None:
        raise DoorError(f"no clang {OLDEST_CLANG} or newer was found")
    version, suffix = found
    return version, f"clang++{suffix}"


def _newest_clang():
    candidates = []
    for suffix in ["", *(f"-{n}" for n in range(OLDEST_CLANG, 40))]:
        if shutil.which(f"clang++{suffix}") is None:
            continue
        version = answer([f"clang++{suffix}", "-dumpversion"])
        if version and int(version.split(".")[0]) >= OLDEST_CLANG:
            candidates.append((int(version.split(".")[0]), suffix))
    return max(candidates, default=None)
