"""The verbs of setup.py: reads the command line, sets up what the verb needs, does it."""

import argparse
import importlib.util
import os
import shlex
import shutil
import sys
import time

from . import build, docs, interpreters, lint, project, system, testing, venv, wheel
from .build import Flavour
from .ui import ROOT, DoorError, note, run_shown, say

EPILOG = """old habits: install, develop, sdist, bdist_wheel say what does it today, and do it.
Arguments after -- go to pytest (test) or choose C++ tests by name (test --sanitize)."""
# Verbs that start a command with options of its own, and where its parser is; it needs nothing but
# the standard library, so that a wrong option is refused before anything is set up.
WITH_OPTIONS = {
    "demo": (ROOT / "pkg" / "spanflow" / "_arguments.py", "demo"),
    "bench": (ROOT / "bench" / "options.py", "parser"),
}
OLD_HABITS = ("install", "develop", "sdist", "bdist_wheel")


def main(argv):
    """Runs one verb; returns its exit code."""
    parser = _parser()
    if not argv:
        parser.print_help()
        return 2
    args = _parse(parser, argv)
    start = time.monotonic()
    try:
        os.chdir(ROOT)
        code = args.run(args)
    except DoorError as error:
        print(f"setup.py {args.verb}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print(f"\nsetup.py {args.verb}: stopped", file=sys.stderr)
        return 130
    if code:
        note(f"{args.verb} failed after {time.monotonic() - start:.1f} s")
    return code


def _parse(parser, argv):
    """Our own arguments; in `rest` those that belong to what the verb starts."""
    at = argv.index("--") if "--" in argv else len(argv)
    args, unknown = parser.parse_known_args(argv[:at])
    args.rest = argv[at + 1 :]
    if args.verb in WITH_OPTIONS:
        args.rest = unknown + args.rest
        _check_options(args.verb, args.rest)
    elif unknown and args.verb in OLD_HABITS:
        note(f"not passed on, since pip has options of its own: {' '.join(unknown)}")
    elif unknown:
        words = shlex.join(unknown)
        hint = f"; what pytest should get goes after --, as in: setup.py test -- {words}"
        parser.error(f"unrecognized arguments: {words}{hint if args.verb == 'test' else ''}")
    return args


def _check_options(verb, options):
    """Ends with help or a message unless the command that the verb starts takes the options."""
    path, factory = WITH_OPTIONS[verb]
    spec = importlib.util.spec_from_file_location(f"options_of_{verb}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = getattr(module, factory)(f"setup.py {verb}")
    parser.epilog = "The front door takes --python, --compiler, --simd and --werror as well."
    parser.parse_args(options)


def _parser():
    parser = argparse.ArgumentParser(
        prog="setup.py",
        description="The front door of spanflow: sets everything up, then does one verb.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, run, about, *, builds=True):
        shown = {"help": about} if about else {}
        # The help of the verbs with options is that of what they start.
        own_help = name not in WITH_OPTIONS
        sub = verbs.add_parser(
            name, description=about, add_help=own_help, allow_abbrev=False, **shown
        )
        sub.set_defaults(run=run)
        if builds:
            sub.add_argument("--python", metavar="X", help="another interpreter: 3.13t, 3.13, …")
            sub.add_argument("--compiler", choices=["gcc", "clang"], help="default: c++")
            sub.add_argument(
                "--simd", choices=["all", "scalar"], default="all", help="SIMD targets to build"
            )
            sub.add_argument("--werror", action="store_true", help="warnings are errors")
        return sub

    verb("demo", _demo, "run the main job on real data; takes the demo's options")
    test = verb("test", _test, "run the C++ and Python tests")
    test.add_argument("--sanitize", choices=list(testing.SANITIZERS), help="the C++ rooms under …")
    test.add_argument(
        "--browser", action="store_true", help="also look at the lab's page in chromium"
    )
    verb("build", _build, "build and install into the virtual environment")
    verb("bench", _bench, "measure against peers; takes the benchmark's options")
    fix = verb("lint", _lint, "check format, style, includes and stubs")
    fix.add_argument("--fix", action="store_true", help="format the files first")
    verb("docs", _docs, "check the links of the documentation and render it", builds=False)
    verb("wheel", _wheel, "build the wheel and try it in a clean environment")
    python = verb("python", _python, "find or build another interpreter", builds=False)
    python.add_argument("kind", help="3.14t, 3.13t (free-threaded), 3.14, 3.13, …")
    verb("summary", _summary, "add up the results of the test runs so far", builds=False)
    clean = verb("clean", _clean, "remove what was built in the tree", builds=False)
    clean.add_argument("--all", action="store_true", help=argparse.SUPPRESS)  # what it always does
    for name in OLD_HABITS:
        verb(name, _old_habit, None, builds=False)
    verb("help", lambda _: parser.print_help(), "show this", builds=False)
    return parser


def _set_up(args):
    """System packages and the virtual environment; (environment, flavour)."""
    system.ensure([*system.BUILD, *system.python_packages()])
    env = venv.environment(getattr(args, "python", None))
    flavour = Flavour(
        getattr(args, "compiler", None),
        getattr(args, "werror", False),
        getattr(args, "simd", "all"),
    )
    return env, flavour


def _demo(args):
    env, flavour = _set_up(args)
    build.install(env, flavour)
    env.ensure("demo", project.extra("demo"))
    return run_shown([env.python, "-m", "spanflow.demo", *args.rest])


def _test(args):
    env, flavour = _set_up(args)
    if args.sanitize:
        return testing.run_sanitized(env, args.sanitize, flavour, args.rest)
    return testing.run(env, flavour, args.rest, browser=args.browser)


def _build(args):
    env, flavour = _set_up(args)
    build.install(env, flavour)
    note(f"spanflow is up to date in {env.name}; try {env.name}/bin/python -m spanflow info")
    return 0


def _bench(args):
    env, flavour = _set_up(args)
    build.install(env, flavour)
    env.ensure("bench", project.extra("bench"))
    if "--google" in args.rest:
        binary = testing.build_benchmark(env, flavour, "kernels_benchmark")
        return run_shown([env.python, ROOT / "bench" / "lab" / "agreement.py", binary])
    if "--tbb" in args.rest:
        return run_shown([testing.build_benchmark(env, flavour, "against_tbb")])
    if "--peers" in args.rest:
        env.ensure("peers", project.extra("peers"))
    if "--pipeline" in args.rest:
        env.offer(project.extra("peers"))
    return run_shown([env.python, ROOT / "bench" / "run.py", *args.rest])


def _lint(args):
    env, flavour = _set_up(args)
    return lint.run(env, flavour, args.fix)


def _docs(args):
    env, _ = _set_up(args)
    return docs.run(env)


def _wheel(args):
    env, flavour = _set_up(args)
    return wheel.run(env, flavour)


def _python(args):
    python = interpreters.get(args.kind)
    note(f"Python {args.kind}: {python}")
    return 0


def _summary(_args):
    return testing.summary()


def _clean(_args):
    targets = [ROOT / "build", ROOT / "dist", *ROOT.glob(".venv*")]
    targets += [
        ROOT / name for name in (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    ]
    for target in targets:
        if not target.exists():
            continue
        if target.name.startswith(".venv") and not venv.is_ours(target):
            note(f"{target.name} stays: setup.py did not make it")
            continue
        say(f"remove {target.relative_to(ROOT)}")
        shutil.rmtree(target)
    note(f"{interpreters.cache_folder()} (interpreters, headers, data) stays; remove it by hand")
    return 0


def _old_habit(args):
    """Does what the old command did, with the tool that does it today."""
    system.ensure([*system.BUILD, *system.python_packages()])
    env = venv.default_environment()
    build.prepare(env)
    pip = ["-m", "pip", "install"]
    command = {
        "install": [*pip, "."],
        "develop": [*pip, "--no-build-isolation", "--editable", "."],
        "sdist": ["-m", "build", "--sdist", "--outdir", "dist", "."],
        "bdist_wheel": ["-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", "."],
    }[args.verb]
    if args.verb == "sdist":
        env.ensure("sdist", ["build"])
    say(f"`setup.py {args.verb}` is now: {env.name}/bin/python {' '.join(command)}")
    variables = build.build_variables(env, Flavour())
    env.note_stamp("spanflow", None)  # what is installed may no longer be what this door built
    return run_shown([env.python, *command], env=variables)
