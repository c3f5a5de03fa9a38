"""The distribution that installs the package `sweeper`, and the commands that install its extras.

Its name is not `sweeper`: on PyPI that is another project.
"""

from contextlib import suppress
from importlib import metadata

from packaging.version import InvalidVersion, Version

NAME = "sweeper-stitching"


def version() -> str:
    """Return the installed version of Sweeper, such as "0.1.0"."""
    return metadata.version(NAME)


def requirements() -> list[str]:
    """Return the requirements of the installed distribution, those of its extras included."""
    return metadata.requires(NAME) or []


def install_command(extra: str) -> str:
    """Return the shell command that adds the packages of an extra, such as "timm", to an installed Sweeper."""
    return f"pip install '{NAME}[{extra}]'"


def later_version(name: object) -> str:
    """Return what to install to read what a later version of Sweeper has written.

    Args:
        name: The version that wrote it, such as "0.2.0"; anything else if that is not known.
    """
    with suppress(InvalidVersion):
        if isinstance(name, str) and Version(name) > Version(version()):
            return f"install Sweeper {Version(name)} or later: pip install '{NAME}>={Version(name)}'"
    return "install a later version of Sweeper"
