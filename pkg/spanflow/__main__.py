"""`python -m spanflow` is the `spanflow` command."""

import sys

from spanflow._cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
