"""The commands that describe what a job may contain: data sets, architectures, keys."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, TrustOption


def data(
    name: Annotated[str, typer.Argument(metavar="JOB|FOLDER|NAME", help="A job, a folder, or a known data set.")],
    sheet: Annotated[
        Path | None, typer.Option("--show", metavar="FILE.png", help="Write a picture with images of each class.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what is read as a data set: splits, files, images, classes, shape, values, and what is left out."""
    from sweeper.cli import data

    data.print_data(name, json, sheet)


def cuts(
    model: Annotated[
        str,
        typer.Argument(help="An architecture: resnet18k, torchvision:NAME, timm:NAME, FILE.py:CLASS, MODULE:CALLABLE."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="A setting, such as width=16.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as width=16; may be repeated."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Data set whose image shape and classes to use.")
    ] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="CxHxW", help="Shape of an input image.")] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=1, help="Number of classes.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", help="File of weights, `pretrained`, or a set of torchvision's, for external networks."
        ),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Leave out the last layer of the weights, as `head: probe` does.")
    ] = False,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """List the cuts of an architecture: the places where it can be divided into a bottom and a top.

    An external network (torchvision:, timm:, a class or function of your own) is built, traced, and divided at each
    cut on random images; its weights are random unless --weights names some. The default input is the digits data
    set for an architecture of Sweeper, and for an external network the images of published weights, or 3x224x224,
    with 1000 classes.
    """
    from sweeper.cli import cards

    cards.print_cuts(
        model,
        [*(overrides or []), *(settings or [])],
        cards.InputOptions(dataset, image, classes),
        trust,
        json,
        cards.WeightOptions(weights, new_head),
    )


def schema(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A key of a job, such as models.samples: describe it alone.")
    ] = None,
) -> None:
    """Print the JSON Schema of a job file, or the description, type and default of one key."""
    from sweeper.cli import cards

    cards.print_schema(key)
