"""Runs the tests: GoogleTest through Meson, then pytest; sanitizer builds of the C++ rooms."""

import os
import shutil
import time
import xml.etree.ElementTree as ElementTree

from . import build, project, system
from .build import BUILD
from .ui import ROOT, DoorError, answer, note, run_logged, run_shown, say, step

RESULTS = BUILD / "results"
SANITIZERS = {"thread": "thread", "address": "address,undefined"}
# Kernels run on one thread, so ThreadSanitizer has nothing to see in their tests; and g++ 12 makes
# wrong code of stores of complex numbers for AVX-512 together with -fsanitize=thread.
THREAD_ARGUMENTS = ["--no-suite", "simd"]
THREAD_VARIABLES = {"SPANFLOW_SIMD_TARGET": "AVX2"}
SANITIZER_OPTIONS = {
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:exitcode=66",
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def run(env, flavour, pytest_args, browser=False):
    """The whole suite for one interpreter; returns an exit code. Tests that need a browser are
    skipped where there is none, unless `browser` asks for them."""
    if browser:
        system.ensure(["chromium"])
    folder = build.install(env, flavour)
    failed = run_cpp(folder, build.build_variables(env, flavour), [])
    needed = {"SPANFLOW_TEST_BROWSER": "1"} if browser else {}
    return run_pytest(env, folder.name, pytest_args, needed) or failed


def run_cpp(folder, variables, names, wrapper=()):
    """Builds and runs the GoogleTests of one build folder; returns an exit code."""
    with step(f"C++ tests ({folder.name}): build"):
        run_logged(
            f"tests-{folder.name}", ["ninja", "-C", folder, "meson-test-prereq"], env=variables
        )
    say(f"C++ tests ({folder.name}): run")
    command = [*wrapper, "meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", *names]
    start = time.monotonic()
    code = run_shown(command, env=variables)
    written = folder / "meson-logs" / "testlog.junit.xml"
    if written.exists():
        kept = _result_path(f"{folder.name}-cpp")
        shutil.copyfile(written, kept)
        counts = count(kept)
        note(f"C++: {describe(counts)} in {time.monotonic() - start:.1f} s")
    return code


def run_pytest(env, name, pytest_args, extra_variables=None):
    """The Python suite, its own summary as the last output; returns pytest's exit code."""
    env.ensure("test", project.extra("test"))
    say(f"Python tests ({name})")
    report = _result_path(f"{name}-pytest")
    command = [env.python, "-m", "pytest", f"--junitxml={report}", *pytest_args]
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return run_shown(command, env={**variables, **(extra_variables or {})})


def build_benchmark(env, flavour, name):
    """An executable of bench/meson.build, optimised as the extension is."""
    system.ensure(["libbenchmark-dev", "libtbb-dev"])
    variables = build.build_variables(env, flavour)
    folder = BUILD / f"cpp-benchmark{flavour.suffix}"
    options = {"buildtype": "release", "optimization": "2", "b_ndebug": "if-release"}
    options |= {"extension": "false", "benchmarks": "true"}
    with step("build the C++ benchmarks"):
        setup = ["meson", "setup", *(f"-D{key}={value}" for key, value in options.items())]
        again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
        run_logged(f"setup-{folder.name}", [*setup, *again, folder, ROOT], env=variables)
        run_logged(f"build-{folder.name}", ["ninja", "-C", folder], env=variables)
    return folder / "bench" / name


def run_sanitized(env, kind, flavour, names):
    """The C++ tests under a sanitizer; with g++'s AddressSanitizer also the Python suite.

    ThreadSanitizer sees only the rooms without Python.h: it would need an interpreter of its own.
    """
    build.prepare(env)
    if flavour.compiler == "clang":
        system.ensure([f"libclang-rt-{system.find_clang()[0]}-dev"])
    variables = {**build.build_variables(env, flavour), **SANITIZER_OPTIONS}
    identity = {**env.facts, "native": variables["PYTHONPATH"], "cxx": variables.get("CXX")}
    folder = build.build_folder(f"{kind}-sanitizer{flavour.suffix}", identity)
    site = BUILD / f"{folder.name}-site"
    extension = kind == "address" and flavour.compiler != "clang"
    options = {
        "tests": "true",
        "extension": str(extension).lower(),
        "allocator": "system",
        "buildtype": "custom",
        "optimization": "1",
        "debug": "false",
        "cpp_args": "-g1",  # names and lines in reports
        "strip": "false",
        "b_sanitize": SANITIZERS[kind],
        "b_lundef": "false",
        "b_ndebug": "false",
        "werror": str(flavour.werror).lower(),
        "python.platlibdir": str(site),
    }
    with step(f"configure with -fsanitize={SANITIZERS[kind]}"):
        setup = ["meson", "setup", *(f"-D{key}={value}" for key, value in options.items())]
        again = ["--reconfigure"] if (folder / "build.ninja").exists() else []
        run_logged(f"setup-{folder.name}", [*setup, *again, folder, ROOT], env=variables)
    if kind == "thread":
        wrapper = _without_address_randomization()
        variables |= THREAD_VARIABLES
        failed = run_cpp(folder, variables, [*THREAD_ARGUMENTS, *names], wrapper)
    else:
        failed = run_cpp(folder, variables, names)
    if not extension or names:
        return failed
    with step(f"build the extension with -fsanitize={SANITIZERS[kind]}"):
        run_logged(f"build-{folder.name}", ["meson", "install", "-C", folder], env=variables)
    return _run_pytest_with_asan(env, folder.name, site) or failed


# Processes that die, are interrupted or exit with threads at work look different under
# AddressSanitizer, and so does how much memory is in use.
NOT_WITH_ASAN = ["lint", "crash", "interp", "leaks"]
NOT_WITH_ASAN += ["stress/test_pipeline_life.py", "stress/test_worker_life.py"]
NOT_WITH_ASAN += ["stress/test_ends.py", "stress/test_leaks.py", "stress/test_memory_bound.py"]


def _run_pytest_with_asan(env, name, site):
    """The Python suite over the instrumented extension; its leaks are the interpreter's own."""
    libraries = [
        answer(["g++", f"-print-file-name={name}.so"]) for name in ("libasan", "libstdc++")
    ]
    variables = {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONPATH": str(site),
        "PYTHONMALLOC": "malloc",
        **SANITIZER_OPTIONS,
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:strict_string_checks=1",
    }
    return run_pytest(env, name, [f"--ignore=tests/{path}" for path in NOT_WITH_ASAN], variables)


def _without_address_randomization():
    """ThreadSanitizer's shadow needs a memory layout that new kernels no longer promise."""
    wrapper = ["setarch", os.uname().machine, "-R"]
    return wrapper if answer([*wrapper, "true"]) is not None else []


def _result_path(name):
    RESULTS.mkdir(parents=True, exist_ok=True)
    return RESULTS / f"{name}.xml"


def count(path):
    """(passed, failed, skipped) of one JUnit file."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def describe(counts):
    passed, failed, skipped = counts
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def summary():
    """One line over every result file that is there; fails when a test failed or none ran."""
    files = sorted(RESULTS.glob("*.xml"))
    if not files:
        raise DoorError("no test has left a result")
    for path in files:
        note(f"{path.stem}: {describe(count(path))}")
    totals = tuple(map(sum, zip(*(count(path) for path in files), strict=True)))
    print(describe(totals))
    return 1 if totals[1] else 0
