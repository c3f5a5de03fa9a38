"""Resolution of a job before it is planned: its data set's digest and sizes, cards of networks, weights, stitchers."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from sweeper.errors import DataError, JobError, Mistake
from sweeper.files import expand_user
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import DataCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.labels import output_count
from sweeper.spec.cards.shapes import Shape
from sweeper.spec.cards.user_networks import UserNetwork, networks_by_name
from sweeper.spec.content import weights
from sweeper.spec.content.downloads import check_download
from sweeper.spec.content.folders import Contents, Listing, list_contents, read_contents
from sweeper.spec.content.weights import NONE, Weights
from sweeper.spec.job import grid, joins
from sweeper.spec.job.family import Family, redrawn_layers
from sweeper.spec.job.inputs import image_shapes
from sweeper.spec.job.sweep import DatasetFolder, PartlyResolvedSweep, ResolvedSweep, Sweep
from sweeper.spec.records.task import Data, Options
from sweeper.spec.user_code import code


def resolve(job: Sweep, data: Data | None = None) -> ResolvedSweep:
    """Return a job with `data`, `networks`, `weights` and `stitchers` filled in, as far as this machine has them.

    `networks` gets the cards in this machine's cache folder, `weights` the sets and files that it has; `stitchers`
    needs the cards of all networks. A named data set is described by its card and not opened. Folders and files are
    hashed once a machine.

    Args:
        job: The job, resolved or not; what is resolved already stays as it is.
        data: Its data set, if it has been read before.

    Raises:
        JobError: The data set or a file of weights doesn't exist, or a user's stitcher can't be imported.
    """
    sweep = PartlyResolvedSweep.of(job)
    data = sweep.data if isinstance(sweep, ResolvedSweep) else data or _content(sweep)
    sweep = with_available(sweep, data)
    if not missing_networks(sweep, data):  # otherwise the shapes that users' stitchers join aren't known yet
        sweep = sweep.model_copy(update={"stitchers": joins.with_joins(sweep, data)})
    return ResolvedSweep.with_data(sweep, data)


def with_available(sweep: PartlyResolvedSweep, data: Data) -> PartlyResolvedSweep:
    """Return a job with the cards of networks that this machine's cache folder has, and the weights that it has.

    Raises:
        JobError: A file of weights doesn't exist.
    """
    return with_cached_cards(sweep, data).model_copy(update={"weights": _weights(sweep, data)})


def available_cards(sweep: PartlyResolvedSweep, data: Data) -> Catalog:
    """Return the cards that a job carries and those of its other networks that this machine's cache folder has."""
    return Catalog.of(with_cached_cards(sweep, data))


def with_cached_cards(sweep: PartlyResolvedSweep, data: Data) -> PartlyResolvedSweep:
    """Return a job that also carries the cards that this machine's cache folder has."""
    user_networks = networks_by_name(sweep.user_networks)
    cards = []
    for arch, shape, classes, options in missing_networks(sweep, data):
        network, trusted = user_networks.get(arch), code.find_trusted(sweep.code, arch)
        name, code_digest = (network.card, trusted.digest) if network and trusted else (arch, "")
        cards.append(probed.read_cached_card(name, shape, classes, options, code_digest))
    return sweep.model_copy(update={"networks": (*sweep.networks, *filter(None, cards))})


# Its name in the job, the shape of its images, its number of outputs, its settings.
MissingNetwork = tuple[str, Shape, int, Options]


def missing_networks(sweep: PartlyResolvedSweep, data: Data) -> list[MissingNetwork]:
    """Return the external networks without a card in the job.

    A network whose images are those of weights that aren't here yet is left out.
    """
    user_networks = networks_by_name(sweep.user_networks)
    with_card = {(card.name, tuple(card.shape), card.classes, card.options) for card in sweep.networks}
    networks = (
        (arch, shape, output_count(labels, data), options)
        for family in sweep.models.values()
        for arch, shapes in image_shapes(family, data, sweep.weights).items()
        for labels, shape in product(family.labels, shapes)
        if probed.is_external(arch)
        for options in _settings(user_networks.get(arch), family)
    )
    return [
        (arch, shape, classes, options)
        for arch, shape, classes, options in dict.fromkeys(networks)
        if (_name_in_rows(arch, user_networks), shape, classes, options) not in with_card
    ]


def _name_in_rows(arch: str, user_networks: Mapping[str, UserNetwork]) -> str:
    return user_networks[arch].card if arch in user_networks else arch


def _settings(network: UserNetwork | None, family: Family) -> Iterator[Options]:
    """Yield the settings of an external network in a family's grid; only a network in a user's file has any."""
    if network is None:
        yield ()
        return
    zipped = [group for names in family.zip if (group := [name for name in names if name in family.options])]
    if not grid.misfits(family.options, zipped):  # otherwise a mistake is reported
        points = grid.expand(family.options, zipped)
        yield from (network.complete(point) for point in points if not network.problems(point))


class MissingWeights(NamedTuple):
    """Weights that a job lacks, with the network that they are for."""

    name: str
    arch: str
    shape: Shape | None  # of the network's images; None if it is a part of the weights' description
    classes: int
    new_head: bool  # True if their last layer is left out


def missing_weights(sweep: PartlyResolvedSweep, data: Data) -> list[MissingWeights]:
    """Return the weights that the job lacks, once for each network."""
    named = (
        MissingWeights(name, arch, shape, output_count(labels, data), _has_new_head(family))
        for family in sweep.models.values()
        for arch, shapes in image_shapes(family, data, sweep.weights).items()
        for name, shape, labels in product(family.weights, shapes or [None], family.labels)
        if name != NONE
    )
    return [
        lacking
        for lacking in dict.fromkeys(named)
        if not weights.select_weights(sweep.weights, lacking.name, lacking.arch)
    ]


def _has_new_head(family: Family) -> bool:
    return any(redrawn_layers(head, reset) == "head" for head, reset in product(family.head, family.reset))


def _weights(sweep: PartlyResolvedSweep, data: Data) -> tuple[Weights, ...]:
    """Return the weights that the job carries and those of its other weights that this machine has."""
    available, mistakes = list(sweep.weights), []
    for name, arch, *_ in missing_weights(sweep, data):
        if not weights.select_weights(available, name, arch):
            try:
                available += filter(None, [weights.find_weights(name, arch)])
            except DataError as error:
                mistakes.append(Mistake(str(error), "weights"))
    if mistakes:
        raise JobError(list(dict.fromkeys(mistakes)))
    return tuple(available)


def _content(sweep: PartlyResolvedSweep) -> Data:
    try:
        return read_data(sweep.dataset)
    except KeyError:
        mistake = Mistake(f"no data set '{sweep.dataset}'", "dataset", f"available: {', '.join(DATASETS)}")
        raise JobError([mistake]) from None
    except DataError as error:
        raise JobError([Mistake(str(error), "dataset")]) from None


def read_data(dataset: str | DatasetFolder) -> Data:
    """Return a data set: that of a card without opening it.

    The files of a folder are hashed and their images checked, once a machine.

    Raises:
        DataError: The folder holds no data set.
        KeyError: There is no data set of this name.
    """
    listing = list_data(dataset)
    return listing if isinstance(listing, Data) else data_of_folder(read_contents(listing))


def check_data(sweep: ResolvedSweep) -> None:
    """Check that a named data set is here or can be downloaded, where the job runs on this machine.

    Raises:
        JobError: It can't be.
    """
    if sweep.engine.address not in (None, "local"):
        return  # the workers may have it
    try:
        check_download(sweep.data.name, sweep.data.digest)
    except DataError as error:
        raise JobError([Mistake(str(error), "dataset")]) from None


def list_data(dataset: str | DatasetFolder) -> Data | Listing:
    """Return the data set of a card, or the files and labels of a folder, whose images are not read.

    Raises:
        DataError: The folder holds no data set.
        KeyError: There is no data set of this name.
    """
    if isinstance(dataset, str):
        return _of_card(DATASETS[dataset])
    return list_contents(*locate_dataset(dataset))


def expected_data(listing: Listing) -> Data | None:
    """Return a listed data set with an empty digest and the shape of its first image; None if that can't be used."""
    shape = listing.first_shape()
    return None if shape is None else _of_listing(listing, "", shape)


def data_of_folder(images: Contents) -> Data:
    """Return a data set whose images have been checked."""
    return _of_listing(images, images.digest, images.shape)


def locate_dataset(dataset: DatasetFolder) -> tuple[str, Path]:
    """Return the kind and the absolute path of a data set in a folder.

    Raises:
        DataError: None or both of the two kinds are named, or a variable in the path is not set.
    """
    folders = {kind: text for kind, text in dataset.model_dump().items() if text is not None}
    if len(folders) != 1:
        raise DataError(f"name one of {' and '.join(DatasetFolder.model_fields)}, not {'both' if folders else 'none'}")
    kind, text = next(iter(folders.items()))
    return kind, locate(text)


def locate(text: str, base: Path | None = None) -> Path:
    """Return an absolute path, with `~` and `${VARIABLE}` filled in, relative to `base` (default: the current folder).

    A path that exists with a `$` in a name is taken as it is.

    Raises:
        DataError: The path is empty, or a variable is not set.
    """
    if not text.strip():
        raise DataError("the path is empty: give a folder or a file")
    literal = (base or Path.cwd()) / text
    dollars = [place for place in (literal, *literal.parents) if "$" in place.name]
    if "$" in text and dollars[0].exists():
        return literal.absolute()
    if unset := [name for name in re.findall(r"\$\{?(\w+)\}?", text) if not os.environ.get(name)]:
        raise DataError(f"the environment variable {unset[0]} is not set: export {unset[0]}=FOLDER")
    return ((base or Path.cwd()) / expand_user(os.path.expandvars(text))).absolute()


def to_json(sweep: ResolvedSweep) -> str:
    """Return a resolved job as JSON, defaults included."""
    return sweep.model_dump_json()


def from_json(text: str) -> ResolvedSweep:
    """Return the job that `to_json` wrote; its data set need not be on this machine."""
    return ResolvedSweep.model_validate_json(text)


def _of_card(card: DataCard) -> Data:
    return Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)


def _of_listing(listing: Listing, digest: str, shape: tuple[int, int, int]) -> Data:
    """Return a data set that keeps the last tenth of its training split for early stopping."""
    folder, holdout = str(listing.folder), listing.train // 10
    return Data(listing.kind, digest, listing.train, listing.test, listing.classes, shape, holdout, folder)
