"""Style and interface checks: clang-format, ruff, the lint tests, stubs against the module."""

from . import build, project
from .ui import ROOT, note, run_shown, say
from .venv import quiet_env


def run(env, flavour, fix):
    """Runs every check, also after one failed; with `fix` formats first. Returns an exit code."""
    build.install(env, flavour)
    env.ensure("test", project.extra("test"))
    env.ensure("lint", project.extra("lint"))
    tools = env.python.parent
    ruff = tools / "ruff"
    if fix:
        run_shown([tools / "clang-format", "-i", *cpp_files()])
        run_shown([ruff, "check", "--quiet", "--fix", "."])
        run_shown([ruff, "format", "--quiet", "."])
    checks = {
        "clang-format": [
            tools / "clang-format",
            "--dry-run",
            "-Werror",
            "--ferror-limit=1",
            *cpp_files(),
        ],
        "ruff check": [ruff, "check", "."],
        "ruff format": [ruff, "format", "--check", "."],
        "stubtest": [
            *(env.python, "-m", "mypy.stubtest", "spanflow"),
            *("--mypy-config-file", "pyproject.toml"),
        ],
        "lint tests": [env.python, "-m", "pytest", "-q", "tests/lint"],
    }
    failed = []
    for name, command in checks.items():
        say(f"lint: {name}")
        if run_shown(command, env=quiet_env()) != 0:
            failed.append(name)
    note(f"failed: {', '.join(failed)}" if failed else f"all {len(checks)} checks passed")
    return 1 if failed else 0


def cpp_files():
    """Every C++ file of the tree, relative, so that messages are short."""
    return [
        path.relative_to(ROOT)
        for top in ("csrc", "tests", "bench")
        for path in sorted((ROOT / top).rglob("*"))
        if path.suffix in (".h", ".cc")
    ]
