"""The command `init`, which writes a job to begin with: it is commented and runs as it stands."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sweeper.errors import DataError, SetupError, UsageError
from sweeper.files import write_with_folders
from sweeper.resources import jobs_dir

from . import example_images, show

SCHEMA_FILE = "job.schema.json"  # the first line of a job names it, so that editors complete and check the job
IMAGES = "images"  # the folder of the example images
WEAK_SAMPLES = "samples: 225"  # in own-images.yaml: a quarter of the example's training images


@dataclass(frozen=True, slots=True)
class Starter:
    """A job to begin with: its name, the files beside it by name (their templates), and what follows its commands."""

    name: str
    beside: Mapping[str, str]
    options: str = ""
    images: bool = False  # its data set is a folder

    def text(self) -> str:
        """Return the text of its job."""
        return _template(f"{self.name}.yaml")


STARTERS = {
    starter.name: starter
    for starter in (
        Starter("more-data", {}),
        Starter("own-images", {}, images=True),
        Starter("own-network", {"network.py": "network.py.txt"}, options=" --trust"),
        Starter("paper-figure", {}),
    )
}


def write_starter(name: str, folder: Path, images: Path | None) -> None:
    """Write a job and what it needs to a folder, and print the commands to go on with.

    Args:
        name: The name of the starter.
        folder: The folder to write to; it is made if it doesn't exist.
        images: For "own-images": the user's folder of images; None writes example images.

    Raises:
        UsageError: A file is there already, or `images` doesn't fit the starter or can't be used.
        SetupError: A file can't be written.
    """
    starter = STARTERS[name]
    if images and not starter.images:
        raise UsageError(f"--images {images}: only the job own-images has a folder of images")
    contents = _contents(starter, folder, images)
    with_example = starter.images and images is None
    _check_absent([folder / file for file in (*contents, *([IMAGES] if with_example else []))])
    try:
        for file, text in contents.items():
            write_with_folders(folder / file, text)
        if with_example:
            example_images.write_example_images(folder / IMAGES)
    except FileExistsError as error:
        raise SetupError(f"--into {folder}: {error.filename} is a file; name a folder") from None
    except OSError as error:
        raise SetupError(f"{folder} can't be written ({error.strerror or error})") from None
    show.say(f"wrote {', '.join([*contents, *([f'{IMAGES}/'] if with_example else [])])} to {folder.resolve()}")
    job = os.path.relpath(folder / f"{name}.yaml")
    show.say(f"next:  sweeper plan {job}{starter.options}", f"then:  sweeper run {job}{starter.options}")


def _contents(starter: Starter, folder: Path, images: Path | None) -> dict[str, str]:
    """Return the texts of the files to write by name."""
    text = _with_images(starter.text(), folder, images) if images else starter.text()
    other_files = {file: _template(template) for file, template in starter.beside.items()}
    return {f"{starter.name}.yaml": text, **other_files} | _schema_file(folder)


def _schema_file(folder: Path) -> dict[str, str]:
    """Return the schema by its name; nothing if `folder` has it, because all starters have the same."""
    text = (jobs_dir() / SCHEMA_FILE).read_text(encoding="utf-8")
    try:
        is_there = (folder / SCHEMA_FILE).read_bytes() == text.encode()
    except OSError:
        is_there = False
    return {} if is_there else {SCHEMA_FILE: text}


def _with_images(text: str, folder: Path, images: Path) -> str:
    """Return the text of own-images.yaml for a folder of the user.

    Raises:
        UsageError: The folder can't be used.
    """
    from sweeper.spec.content.folders import layout_of, list_contents

    try:
        layout = layout_of(images)
        count = list_contents(layout, images).train
    except DataError as error:
        raise UsageError(f"--images {images}: {error}") from None
    path = json.dumps(os.path.relpath(images, folder), ensure_ascii=False)
    return (
        text.replace(f"dataset: {{imagefolder: {IMAGES}}}", f"dataset: {{{layout}: {path}}}")
        .replace(f"sweeper data {IMAGES} ", f"sweeper data {images} ")
        .replace(WEAK_SAMPLES, f"samples: {max(count // 4, 1)}")
    )


def _check_absent(paths: list[Path]) -> None:
    """Check that no file is there yet.

    Raises:
        UsageError: One is; nothing that exists is replaced.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists and is not replaced; name another folder with --into DIR")


def _template(name: str) -> str:
    return files("sweeper").joinpath("cli/starters", name).read_text(encoding="utf-8")
