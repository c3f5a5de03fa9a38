"""What a job's data set is: its content's digest and its sizes, found once, before anything is planned."""

from .cards.datasets import DATASETS
from .sweep import Sweep
from .task import Data


def resolve(sweep: Sweep) -> Sweep:
    """The job with `data` filled in. Named sets come from their card and nothing is opened."""
    if sweep.data is not None:
        return sweep
    return sweep.model_copy(update={"data": _data(sweep)})


def to_json(sweep: Sweep) -> str:
    """The resolved job, every value written out."""
    return sweep.model_dump_json()


def from_json(text: str) -> Sweep:
    """A job as `to_json` wrote it; its data set need not be on this machine."""
    return Sweep.model_validate_json(text)


def _data(sweep: Sweep) -> Data:
    if not isinstance(sweep.dataset, str):
        raise NotImplementedError
    card = DATASETS[sweep.dataset]
    return Data(card.name, card.digest, card.train, card.test, card.classes, card.shape, card.holdout)
