"""The files that a cluster needs to run a job: Sweeper itself, the job, the user's code and weights.

A path in a job that is relative is sent: it keeps its place beside the job file, so the job's text, and with it every
id, is that of a run on this machine. An absolute path, or one with `~` or a variable, is one of the cluster. A data set
is never sent, because it can be large.
"""

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from sweeper.errors import SetupError, UsageError
from sweeper.spec.content.weights import is_file
from sweeper.spec.job.load import load_as_written, named_code
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.ident import digest
from sweeper.spec.user_code.code import find_module, is_file_name
from sweeper.spec.user_code.sources import read_sources

from .own_files import own_files

FOLDER = "job"  # of the job and the files that it names by relative paths
MOST_BYTES = 100 * 2**20  # of a bundle: Ray's job server takes no more
_TIME = (1980, 1, 1, 0, 0, 0)  # of every file in the archive, so that equal files give equal archives


@dataclass(frozen=True)
class Bundle:
    """The files to send, and what the cluster must have itself."""

    sweep: Sweep  # the job as it is written, with overrides
    job: str  # the path of the job file in the bundle
    files: dict[str, bytes]  # content by path
    expected: tuple[str, ...]  # what the job names and the cluster must have, in words

    @cached_property
    def archive(self) -> bytes:
        """The files as a zip archive; equal files give equal bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(self.files):
                archive.writestr(zipfile.ZipInfo(name, _TIME), self.files[name], zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @property
    def digest(self) -> str:
        """The digest of the archive."""
        return digest(self.archive)


def pack(job: Path, overrides: Sequence[str] = ()) -> Bundle:
    """Return the bundle of a job that has been checked.

    Args:
        job: The job file.
        overrides: Settings that replace those in the file.

    Raises:
        JobError: The job has mistakes of form.
        UsageError: A file that the job names by a relative path can't be sent.
        SetupError: The archive is larger than a job server takes.
    """
    if not job.is_file():
        raise UsageError(f"{job} is not a regular file, and only such a job can be sent")
    sweep, text = load_as_written(job, overrides)
    _check_data(sweep)
    beside_job = dict(_named_files(sweep, job.parent))
    root = Path(os.path.commonpath([_folder(job), *(path.parent for path in beside_job)]))
    place = _place_of(job, root)
    files = own_files() | {place: text.encode()}
    files |= {_place_of(path, root): content for path, content in beside_job.items()}
    files |= dict(_modules_here(sweep))
    bundle = Bundle(sweep, place, files, tuple(_expected(sweep)))
    if len(bundle.archive) > MOST_BYTES:
        largest = max(beside_job, key=lambda path: len(beside_job[path]))
        raise SetupError(
            f"the files to send are {len(bundle.archive) / 1e6:.0f} MB, more than the {MOST_BYTES / 1e6:.0f} MB that a "
            f"job server takes; put {largest} on the cluster and name it by its absolute path there"
        )
    return bundle


def is_sent(text: str) -> bool:
    """Return True if a path in a job is sent with it: it is relative, without `~` and variables."""
    return not (PurePosixPath(text).is_absolute() or text.startswith("~") or "$" in text)


def _check_data(sweep: Sweep) -> None:
    """Check that a data set in a folder is named by a path of the cluster.

    Raises:
        UsageError: Its path is relative.
    """
    for kind, text in _data_folders(sweep).items():
        if is_sent(text):
            raise UsageError(
                f"dataset.{kind}: {text} is a path relative to the job, and data sets are not sent; put it on the "
                f"cluster and give its absolute path there, as in dataset.{kind}=/shared/{PurePosixPath(text).name}"
            )


def _data_folders(sweep: Sweep) -> dict[str, str]:
    return {} if isinstance(sweep.dataset, str) else sweep.dataset.model_dump(exclude_none=True)


def _weights(sweep: Sweep) -> list[str]:
    names = (name for family in sweep.models.values() for name in family.weights)
    return list(dict.fromkeys(filter(is_file, names)))


def _named_files(sweep: Sweep, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the path and content of each file that is sent because the job names it, or its code imports it.

    Raises:
        UsageError: A file can't be read.
    """
    networks, stitchers = named_code(sweep)
    for name in filter(is_file_name, (*networks, *stitchers)):
        text = name.rpartition(":")[0]
        if is_sent(text):
            file = (folder / text).resolve()  # the modules beside it are those beside the file of a symbolic link
            for path, content in read_sources(file).contents.items():
                yield _absolute(folder / text).parent / path.relative_to(file.parent), content
    for name in filter(is_sent, _weights(sweep)):
        path = _absolute(folder / name)
        try:
            yield path, path.read_bytes()
        except OSError as error:
            raise UsageError(f"the weights {name} can't be sent: {path}: {error.strerror}") from None


def _modules_here(sweep: Sweep) -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of the modules in the current folder that the job names, with what they import."""
    current_folder = _absolute(Path.cwd())
    for name in _modules(sweep):
        file = find_module(name)
        if file is None or not file.is_relative_to(current_folder):
            continue
        for path, content in read_sources(file).contents.items():
            yield path.relative_to(current_folder).as_posix(), content
        for package in list(file.relative_to(current_folder).parents)[:-1]:
            # A module may import any other one of its package.
            for path in sorted((current_folder / package).glob("*.py")):
                yield path.relative_to(current_folder).as_posix(), path.read_bytes()


def _modules(sweep: Sweep) -> list[str]:
    networks, stitchers = named_code(sweep)
    return [name for name in (*networks, *stitchers) if not is_file_name(name)]


def _expected(sweep: Sweep) -> Iterator[str]:
    """Yield what the job names and the cluster must have itself, in words."""
    yield f"the dependencies of {_distribution()} on every node"
    for text in _data_folders(sweep).values():
        yield f"the data set {text}"
    for name in (name for name in _weights(sweep) if not is_sent(name)):
        yield f"the weights {name}"
    networks, stitchers = named_code(sweep)
    for name in filter(is_file_name, (*networks, *stitchers)):
        if not is_sent(name):
            yield f"the code {name}"
    current_folder = _absolute(Path.cwd())
    for name in _modules(sweep):
        file = find_module(name)
        if file is None or not file.is_relative_to(current_folder):
            yield f"the module {name.partition(':')[0]}"


def _distribution() -> str:
    from sweeper.distribution import NAME, version

    return f"{NAME} {version()}"


def _folder(job: Path) -> Path:
    return _absolute(job).parent


def _place_of(path: Path, root: Path) -> str:
    """Return the path in the bundle of a file below `root`, which becomes the folder `job`."""
    absolute = _absolute(path)
    return f"{FOLDER}/{absolute.relative_to(root).as_posix()}"


def _absolute(path: Path) -> Path:
    """Return an absolute path without `..`, with symbolic links as they are: their places are those in the job."""
    return Path(os.path.normpath(path.absolute()))
