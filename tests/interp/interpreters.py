"""Sub-interpreters by whatever name this Python knows them: one interface for the tests.

`create()` gives an interpreter of its own, isolated (own GIL) from 3.12 on; `run` executes text in
it and raises what went wrong as RuntimeError.
"""

import sys

if sys.version_info >= (3, 13):
    import _interpreters
else:
    import _xxsubinterpreters as _interpreters

OWN_GIL = sys.version_info >= (3, 12)


def create():
    if sys.version_info >= (3, 13):
        return _interpreters.create()  # isolated by default
    return _interpreters.create(isolated=OWN_GIL)


def run(interpreter, script, **shared):
    """Runs text in the interpreter, with `shared` (memoryviews, numbers, text) as its globals."""
    if sys.version_info >= (3, 13):
        if shared:
            _interpreters.set___main___attrs(interpreter, shared)
        failed = _interpreters.exec(interpreter, script)
        if failed is not None:
            raise RuntimeError(getattr(failed, "errdisplay", None) or failed.formatted)
    else:
        prelude = "".join(f"{name} = {value!r}\n" for name, value in shared.items())
        _interpreters.run_string(interpreter, prelude + script)


def destroy(interpreter):
    _interpreters.destroy(interpreter)
