"""The command that writes a job to begin with."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class StarterName(StrEnum):
    """The jobs that `sweeper init` writes."""

    more_data = "more-data"
    own_images = "own-images"
    own_network = "own-network"
    paper_figure = "paper-figure"


def init(
    name: Annotated[
        StarterName, typer.Argument(metavar="JOB", help="more-data, own-images, own-network, paper-figure")
    ] = StarterName.more_data,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Folder to write to; it is made.")] = Path(),
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", help="For own-images: your folder of images; without it, example images."
        ),
    ] = None,
) -> None:
    """Write a job to begin with: it is commented and runs as it stands, in minutes.

    more-data: networks of few and of many images, on images that come with Sweeper. own-images: the same on a folder
    of images. own-network: the same with a network in a Python file. paper-figure: a figure of the paper. Beside the
    job is its JSON Schema, with which editors complete and check it. Nothing that exists is replaced.
    """
    from sweeper.cli import init

    init.write_starter(name.value, into, images)
