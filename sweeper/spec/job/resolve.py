"""What a job's data set is: its content's digest and its sizes, found once, before anything is planned."""

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
from sweeper.spec.job.sweep import Folder, Sweep
from sweeper.spec.records.task import Data


def resolve(sweep: Sweep) -> Sweep:
    """The job with `data` filled in, `networks` as far as they were probed on this machine, `weights` as far as this
    machine has them, and, once every network is known, `stitchers`. Named sets come from their card, unopened; folders
    and files are read once a machine.

    Raises JobError for a data set or a file of weights that isn't there, or a stitcher of the user's that can't be had.
    """
    data = sweep.data or _content(sweep)
    found = _recalled(sweep, data)
    had = _weights(sweep, data)
    if data is not sweep.data or found or had != sweep.weights:
        sweep = sweep.model_copy(update={"data": data, "networks": (*sweep.networks, *found), "weights": had})
    return _with_stitchers(sweep, data)


def _with_stitchers(sweep: Sweep, data: Data) -> Sweep:
    if unprobed(sweep, data):
        return sweep  # what they join is not known yet
    stitchers = joins.of(sweep, data)
    return sweep if stitchers == sweep.stitchers else sweep.model_copy(update={"stitchers": stitchers})


def available_cards(sweep: Sweep, data: Data) -> Catalog:
    """Return the cards that a job carries and those of its other networks that this machine's cache folder has."""
    return Catalog.of(sweep).with_networks(_recalled(sweep, data))


def _recalled(sweep: Sweep, data: Data) -> tuple[Probed, ...]:
    """Return the cards of external networks that the job lacks and the cache folder has."""
    cards = (probed.recall(arch, data.shape, classes) for arch, classes in unprobed(sweep, data))
    return tuple(card for card in cards if card)


def unprobed(sweep: Sweep, data: Data) -> list[tuple[str, int]]:
    """The networks from elsewhere whose cuts a job doesn't know yet, each with its number of outputs."""
    known = {(card.name, card.classes) for card in sweep.networks}
    asked = (
        (arch, outputs(labels, data))
        for family in sweep.models.values()
        for arch, labels in product(family.arch, family.labels)
        if probed.is_external(arch)
    )
    return [each for each in dict.fromkeys(asked) if each not in known]


def lacking(sweep: Sweep, data: Data) -> list[tuple[str, str, int]]:
    """The sets of weights that this machine doesn't have yet, each with its architecture and that one's outputs."""
    asked = (
        (name, arch, outputs(labels, data))
        for family in sweep.models.values()
        for name, arch, labels in product(family.weights, family.arch, family.labels)
        if name != NONE
    )
    return [each for each in dict.fromkeys(asked) if not weights.known(sweep.weights, *each[:2])]


def _weights(sweep: Sweep, data: Data) -> tuple[Weights, ...]:
    """What the job carries, and what more of its weights lies on this machine."""
    found, mistakes = list(sweep.weights), []
    for name, arch, _ in lacking(sweep, data):
        if not weights.known(found, name, arch):
            try:
                found += filter(None, [weights.find(name, arch)])
            except DataError as error:
                mistakes.append(Mistake(str(error), "weights"))
    if mistakes:
        raise JobError(list(dict.fromkeys(mistakes)))
    return tuple(found)


def _content(sweep: Sweep) -> Data:
    try:
        return _of_card(DATASETS[sweep.dataset]) if isinstance(sweep.dataset, str) else _of_folder(sweep.dataset)
    except KeyError:
        mistake = Mistake(f"no data set '{sweep.dataset}'", "dataset", f"known are {', '.join(DATASETS)}")
        raise JobError([mistake]) from None
    except DataError as error:
        raise JobError([Mistake(str(error), "dataset")]) from None


def sizes(dataset: str | Folder) -> Data:
    """A data set without its digest, at the cost of a glance. Raises DataError, KeyError for an unknown name."""
    if isinstance(dataset, str):
        return _of_card(DATASETS[dataset])
    kind, folder = place(dataset)
    return _data(kind, folder, contents(kind, folder), digest="")


def place(dataset: Folder) -> tuple[str, Path]:
    """Kind and absolute path of a data set in files. Raises DataError where none or two are named."""
    given = {kind: text for kind, text in dataset.model_dump().items() if text is not None}
    if len(given) != 1:
        raise DataError(f"name one of {' and '.join(Folder.model_fields)}, not {'both' if given else 'none'}")
    kind, text = next(iter(given.items()))
    return kind, locate(text)


def locate(text: str, base: Path | None = None) -> Path:
    """An absolute path: `~` and `${VARIABLE}` filled in, relative to `base` (default: the current folder).

    Raises DataError for a variable that is not set.
    """
    if unset := [name for name in re.findall(r"\$\{?(\w+)\}?", text) if not os.environ.get(name)]:
        raise DataError(f"the environment variable {unset[0]} is not set: export {unset[0]}=FOLDER")
    return ((base or Path.cwd()) / Path(os.path.expandvars(text)).expanduser()).absolute()


def to_json(sweep: Sweep) -> str:
    """The resolved job, every value written out."""
    return sweep.model_dump_json()


def from_json(text: str) -> Sweep:
    """A job as `to_json` wrote it; its data set need not be on this machine."""
    return Sweep.model_validate_json(text)


def _of_card(card: DataCard) -> Data:
    return Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)


def _of_folder(dataset: Folder) -> Data:
    kind, folder = place(dataset)
    found = contents(kind, folder)
    return _data(kind, folder, found, fingerprint(folder, found.files))


def _data(kind: str, folder: Path, found: Contents, digest: str) -> Data:
    """A tenth of the training split is kept back for stopping."""
    holdout = found.train // 10
    return Data(kind, digest, found.train, found.test, found.classes, found.shape, holdout, str(folder))
