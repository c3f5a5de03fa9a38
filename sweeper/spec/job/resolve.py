"""Resolution of a job before it is planned: its data set's digest and sizes, cards of networks, weights, stitchers."""

import os
import re
from itertools import product
from pathlib import Path

from sweeper.errors import DataError, JobError, Mistake
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import DataCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.labels import outputs
from sweeper.spec.cards.probed import Probed
from sweeper.spec.content import weights
from sweeper.spec.content.fingerprint import fingerprint
from sweeper.spec.content.folders import Contents, contents
from sweeper.spec.content.weights import NONE, Weights
from sweeper.spec.job import joins
from sweeper.spec.job.sweep import DatasetFolder, ResolvedSweep, Sweep
from sweeper.spec.records.task import Data


def resolve(job: Sweep) -> ResolvedSweep:
    """Return a job with `data`, `networks`, `weights` and `stitchers` filled in, as far as this machine has them.

    `networks` gets the cards in this machine's cache folder, `weights` the sets and files that it has; `stitchers`
    needs the cards of all networks. A named data set is described by its card and not opened. Folders and files are
    hashed once a machine.

    Raises:
        JobError: The data set or a file of weights doesn't exist, or a user's stitcher can't be imported.
    """
    sweep = ResolvedSweep.of(job)
    data = sweep.data or _content(sweep)
    cards = _recalled(sweep, data)
    weights_here = _weights(sweep, data)
    if data is not sweep.data or cards or weights_here != sweep.weights:
        update = {"data": data, "networks": (*sweep.networks, *cards), "weights": weights_here}
        sweep = sweep.model_copy(update=update)
    return _with_stitchers(sweep, data)


def _with_stitchers(sweep: ResolvedSweep, data: Data) -> ResolvedSweep:
    if missing_networks(sweep, data):
        return sweep  # the shapes that they join aren't known yet
    stitchers = joins.with_joins(sweep, data)
    return sweep if stitchers == sweep.stitchers else sweep.model_copy(update={"stitchers": stitchers})


def available_cards(sweep: ResolvedSweep, data: Data) -> Catalog:
    """Return the cards that a job carries and those of its other networks that this machine's cache folder has."""
    return Catalog.of(sweep).with_networks(_recalled(sweep, data))


def _recalled(sweep: ResolvedSweep, data: Data) -> tuple[Probed, ...]:
    """Return the cards of external networks that the job lacks and the cache folder has."""
    cards = (probed.recall(arch, data.shape, classes) for arch, classes in missing_networks(sweep, data))
    return tuple(card for card in cards if card)


def missing_networks(sweep: ResolvedSweep, data: Data) -> list[tuple[str, int]]:
    """Return the external networks without a card in the job, each with its number of outputs."""
    with_card = {(card.name, card.classes) for card in sweep.networks}
    networks = (
        (arch, outputs(labels, data))
        for family in sweep.models.values()
        for arch, labels in product(family.arch, family.labels)
        if probed.is_external(arch)
    )
    return [network for network in dict.fromkeys(networks) if network not in with_card]


def missing_weights(sweep: ResolvedSweep, data: Data) -> list[tuple[str, str, int]]:
    """Return the weights that the job lacks, each with its architecture and the architecture's number of outputs."""
    named = (
        (name, arch, outputs(labels, data))
        for family in sweep.models.values()
        for name, arch, labels in product(family.weights, family.arch, family.labels)
        if name != NONE
    )
    return [
        (name, arch, classes)
        for name, arch, classes in dict.fromkeys(named)
        if not weights.select_weights(sweep.weights, name, arch)
    ]


def _weights(sweep: ResolvedSweep, data: Data) -> tuple[Weights, ...]:
    """Return the weights that the job carries and those of its other weights that this machine has."""
    found, mistakes = list(sweep.weights), []
    for name, arch, _ in missing_weights(sweep, data):
        if not weights.select_weights(found, name, arch):
            try:
                found += filter(None, [weights.find_weights(name, arch)])
            except DataError as error:
                mistakes.append(Mistake(str(error), "weights"))
    if mistakes:
        raise JobError(list(dict.fromkeys(mistakes)))
    return tuple(found)


def _content(sweep: ResolvedSweep) -> Data:
    try:
        return _of_card(DATASETS[sweep.dataset]) if isinstance(sweep.dataset, str) else _of_folder(sweep.dataset)
    except KeyError:
        mistake = Mistake(f"no data set '{sweep.dataset}'", "dataset", f"known are {', '.join(DATASETS)}")
        raise JobError([mistake]) from None
    except DataError as error:
        raise JobError([Mistake(str(error), "dataset")]) from None


def sizes(dataset: str | DatasetFolder) -> Data:
    """Return a data set without its digest; quick, because no image is read.

    Raises:
        DataError: The folder holds no data set.
        KeyError: There is no data set of this name.
    """
    if isinstance(dataset, str):
        return _of_card(DATASETS[dataset])
    kind, folder = locate_dataset(dataset)
    return _data(kind, folder, contents(kind, folder), digest="")


def locate_dataset(dataset: DatasetFolder) -> tuple[str, Path]:
    """Return the kind and the absolute path of a data set in a folder.

    Raises:
        DataError: None or both of the two kinds are named, or a variable in the path is not set.
    """
    given = {kind: text for kind, text in dataset.model_dump().items() if text is not None}
    if len(given) != 1:
        raise DataError(f"name one of {' and '.join(DatasetFolder.model_fields)}, not {'both' if given else 'none'}")
    kind, text = next(iter(given.items()))
    return kind, locate(text)


def locate(text: str, base: Path | None = None) -> Path:
    """Return an absolute path, with `~` and `${VARIABLE}` filled in, relative to `base` (default: the current folder).

    Raises:
        DataError: A variable is not set.
    """
    if unset := [name for name in re.findall(r"\$\{?(\w+)\}?", text) if not os.environ.get(name)]:
        raise DataError(f"the environment variable {unset[0]} is not set: export {unset[0]}=FOLDER")
    return ((base or Path.cwd()) / Path(os.path.expandvars(text)).expanduser()).absolute()


def to_json(sweep: ResolvedSweep) -> str:
    """Return a resolved job as JSON, defaults included."""
    return sweep.model_dump_json()


def from_json(text: str) -> ResolvedSweep:
    """Return the job that `to_json` wrote; its data set need not be on this machine."""
    return ResolvedSweep.model_validate_json(text)


def _of_card(card: DataCard) -> Data:
    return Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)


def _of_folder(dataset: DatasetFolder) -> Data:
    kind, folder = locate_dataset(dataset)
    found = contents(kind, folder)
    return _data(kind, folder, found, fingerprint(folder, found.files))


def _data(kind: str, folder: Path, found: Contents, digest: str) -> Data:
    """Return a data set that keeps the last tenth of its training split for early stopping."""
    holdout = found.train // 10
    return Data(kind, digest, found.train, found.test, found.classes, found.shape, holdout, str(folder))
