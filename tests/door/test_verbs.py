"""What setup.py reads from its command line, and what the verbs do with it."""

import pytest
from door import system, venv, verbs
from door.ui import DoorError


@pytest.fixture
def parse():
    return lambda *argv: verbs._parse(verbs._parser(), list(argv))


@pytest.mark.parametrize("verb", verbs.WITH_OPTIONS)
def test_options_of_what_a_verb_starts(parse, verb):
    args = parse(verb, "--threads", "2", "--python", "3.13t", "--werror")
    assert (args.python, args.werror, args.rest) == ("3.13t", True, ["--threads", "2"])
    assert parse(verb, "--", "--threads", "2").rest == ["--threads", "2"]
    assert parse(verb).rest == []


@pytest.mark.parametrize("verb", verbs.WITH_OPTIONS)
@pytest.mark.parametrize("options, code", [(["--help"], 0), (["-h"], 0), (["--thread", "2"], 2)])
def test_help_and_wrong_options_need_no_set_up(verb, options, code, monkeypatch, capsys):
    monkeypatch.setattr(verbs, "_set_up", lambda args: pytest.fail("something was set up"))
    with pytest.raises(SystemExit) as end:
        verbs.main([verb, *options])
    assert end.value.code == code
    said = "".join(capsys.readouterr())
    assert f"usage: setup.py {verb}" in said and "--threads" in said


def test_a_suite_that_is_not_there(parse, capsys):
    with pytest.raises(SystemExit):
        parse("bench", "--only", "nonsense")
    assert "'nonsense' is in none of array.elementwise" in capsys.readouterr().err


def test_what_pytest_gets(parse):
    assert parse("test", "--", "-k", "x").rest == ["-k", "x"]
    args = parse("test", "--sanitize", "thread", "--", "pool_test")
    assert (args.sanitize, args.rest) == ("thread", ["pool_test"])


def test_a_forgotten_separator_is_named(parse, capsys):
    with pytest.raises(SystemExit):
        parse("test", "-k", "x and y")
    assert "setup.py test -- -k 'x and y'" in capsys.readouterr().err


def test_unknown_words_are_refused(parse):
    for argv in (["lint", "--foo"], ["nonsense"], ["build", "x"]):
        with pytest.raises(SystemExit):
            parse(*argv)


def test_nothing_is_help(capsys):
    assert verbs.main([]) == 2
    assert "VERB" in capsys.readouterr().out


def test_errors_have_a_code_and_the_verb(monkeypatch, capsys):
    def fail(kind):
        raise DoorError("no such thing", code=2)

    monkeypatch.setattr(verbs.interpreters, "get", fail)
    assert verbs.main(["python", "3.99"]) == 2
    assert capsys.readouterr().err == "setup.py python: no such thing\n"


class FakeEnvironment:
    name = ".venv"
    python = "PYTHON"

    def __init__(self):
        self.ensured, self.stamps = [], {"spanflow": "built"}

    def ensure(self, what, requirements):
        self.ensured.append(what)

    def note_stamp(self, key, value):
        self.stamps[key] = value


OLD = {
    ("install",): "pip install .",
    ("install", "--user"): "pip install .",
    ("develop",): "pip install --no-build-isolation --editable .",
    ("sdist", "--formats=zip"): "build --sdist --outdir dist .",
    ("bdist_wheel", "--universal"): "pip wheel --no-deps --wheel-dir dist .",
}


@pytest.mark.parametrize("argv", OLD, ids=" ".join)
def test_old_habits_say_and_do_what_does_it_today(argv, monkeypatch, capsys):
    env, ran = FakeEnvironment(), []
    monkeypatch.setattr(system, "ensure", lambda packages: None)
    monkeypatch.setattr(venv, "default_environment", lambda: env)
    monkeypatch.setattr(verbs.build, "prepare", lambda env: None)
    monkeypatch.setattr(verbs.build, "build_variables", lambda env, flavour: {})
    monkeypatch.setattr(verbs, "run_shown", lambda command, env: ran.append(command) or 0)
    assert verbs.main(list(argv)) == 0
    assert [" ".join(command) for command in ran] == [f"PYTHON -m {OLD[argv]}"]
    said = capsys.readouterr().out
    assert f"`setup.py {argv[0]}` is now: .venv/bin/python -m {OLD[argv]}" in said
    assert all(
        f"not passed on, since pip has options of its own: {word}" in said for word in argv[1:]
    )
    assert env.stamps["spanflow"] is None


def test_clean_removes_only_what_was_made_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verbs, "ROOT", tmp_path)
    monkeypatch.setattr(verbs.os, "chdir", lambda path: None)
    for name in ("build", "dist", ".venv", ".venv-3.13t", ".venv-mine"):
        (tmp_path / name).mkdir()
    for name in (".venv", ".venv-3.13t"):
        (tmp_path / name / venv.STAMPS).write_text("{}")
    (tmp_path / ".venv-link").symlink_to(tmp_path / ".venv-mine")
    assert verbs.main(["clean", "--all"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".venv-link", ".venv-mine"]
    assert ".venv-mine stays" in capsys.readouterr().out
