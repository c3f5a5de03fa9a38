"""The files of the installed Sweeper, as a wheel of it holds them.

A folder with these files is all that Python needs to import this version of Sweeper and to name it, so a cluster runs
the version of the machine that submits, a checkout included. Its dependencies must be installed on the cluster.
"""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from sweeper import distribution, resources


def own_files() -> dict[str, bytes]:
    """Return the content of each file by its path in the wheel, such as `sweeper/__main__.py`."""
    package = Path(distribution.__file__).parent
    files = dict(_tree(package, package.name))
    for name, folder in (("_jobs", resources.jobs_dir()), ("_analysis", resources.analysis_dir())):
        files |= dict(_tree(folder, f"{package.name}/{name}"))  # a checkout has them beside the package
    information = metadata.distribution(distribution.NAME)
    folder_name = f"{distribution.NAME.replace('-', '_')}-{information.version}.dist-info"
    for name in ("METADATA", "entry_points.txt"):
        files[f"{folder_name}/{name}"] = (information.read_text(name) or "").encode()
    return files


def _tree(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            yield f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()
