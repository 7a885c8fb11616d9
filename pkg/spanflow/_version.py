"""The version, as the installed distribution says it."""

from importlib import metadata

try:
    __version__ = metadata.version("spanflow")
except metadata.PackageNotFoundError:  # used from a build folder
    __version__ = "0+unknown"
