"""The distribution that installs the package `sweeper`, and the commands that install its extras.

Its name is not `sweeper`: on PyPI that is another project.
"""

from importlib import metadata

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
