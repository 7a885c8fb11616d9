#!/usr/bin/env python3
"""The front door of spanflow: `python3 setup.py VERB` sets everything up, then does the verb.

Needs nothing but Python 3.11 and git on Debian or Ubuntu. The packaging itself is in
pyproject.toml: `pip install .` works without this file. What stands behind the verbs is .ci/door/.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("spanflow needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])

from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / ".ci"))

from door.verbs import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
