"""A pack in, rows out: the one door of this room.

What a pack needs is loaded by digest and kept between packs within a budget. Every task ends in an outcome: its
receipt, or a failure with the error that it raised, which does not take the pack down.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from sweeper.spec.content.weights import NONE
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import Row
from sweeper.spec.records.task import Data, Model, Pack, Stitch, StitchPack, TrainPack
from sweeper.trials.data.load import load as load_data
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.networks.state_dicts import from_bytes, to_bytes
from sweeper.trials.process import numerics
from sweeper.trials.process.allocator import keep_freed_memory
from sweeper.trials.process.lru_cache import Cache
from sweeper.trials.receipts import curve_rows, failure_row, model_row, similarity_row, stitch_row
from sweeper.trials.similarity.compare import Comparison
from sweeper.trials.similarity.measures.measurement import Measurement
from sweeper.trials.stitching.stitch_group import Group, grouped
from sweeper.trials.stitching.stitched_network import FinishedStitch
from sweeper.trials.training.initial_weights import verify_code
from sweeper.trials.training.train import train

Load = Callable[[str], bytes]

HELD_NETWORKS = 2 * 2**30  # bytes of networks that a process keeps between packs
HELD_IMAGES = 4 * 2**30  # bytes of decoded images

_networks: Cache[Network] = Cache(HELD_NETWORKS)
_images: Cache[Images] = Cache(HELD_IMAGES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: rows that belong together, the receipt (or the failure) last; a model's weights."""

    rows: Sequence[Row]
    weights: bytes | None = None


def perform(
    pack: Pack,
    load: Load,
    device: torch.device | str | None = None,
    precision: str = "auto",
    deterministic: bool = True,
    compile: bool = False,
) -> Iterator[Outcome]:
    """Performs the tasks of a pack and yields an outcome for each, as it ends.

    load(digest) gives a model's weights (safetensors). device: where there is none given, a GPU if there is one.
    precision, deterministic: as in `numerics.chosen`; deterministic, the same pack again on the same device gives the
    same bits. compile: what trains models, as in `compiled`. The caller fills in the rows' run, attempt, code and
    versions. Raises SweeperError, at the call, for a precision that the device hasn't.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    keep_freed_memory()
    settings = numerics.choose_numerics(where, precision, deterministic, compile)
    return numerics.run_with_numerics(settings, _performed(pack, load, where))


def _performed(pack: Pack, load: Load, where: torch.device) -> Iterator[Outcome]:
    work = _train(pack, load, where) if isinstance(pack, TrainPack) else _Stitching(pack, load, where).run()
    ended: set[str] = set()
    try:
        for outcome in work:
            ended.add(outcome.rows[-1].task)
            yield outcome
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            _networks.clear()
            torch.cuda.empty_cache()
        of = {task: kind for kind, tasks in _due(pack).items() for task in tasks}
        for task in pack.tasks:
            if task not in ended:
                yield Outcome([failure_row(task, of[task], error, where)])


def _train(pack: TrainPack, load: Load, device: torch.device) -> Iterator[Outcome]:
    """The models of a training run, each as its step is reached."""
    images = _images_of(pack.training.data, device)
    wanted = {model.step: model for model in pack.models}
    pinned = _beginning(pack)
    start = time.perf_counter()
    for trained in train(pack.training, sorted(wanted), images, lambda: load(str(pinned))):
        model, blob = wanted[trained.step], to_bytes(trained.network)
        network = Network(trained.network, digest(blob), images.with_grouped_labels(pack.training.labels))
        row = model_row(model, network, trained, time.perf_counter() - start, device, pinned)
        yield Outcome([*curve_rows(model.id, trained.curve, device), row], blob)
        start = time.perf_counter()


def _beginning(pack: TrainPack) -> str | None:
    """The digest of the weights that a run begins with; None for a random initialisation."""
    if pack.training.init:
        return pack.weights[pack.training.init.id]
    return None if pack.training.weights == NONE else pack.training.weights


def _due(pack: Pack) -> dict[str, tuple[str, ...]]:
    """Ids of a pack's tasks by the kind of their receipts."""
    if isinstance(pack, TrainPack):
        return {"models": pack.tasks}
    return {"stitches": tuple(s.id for s in pack.stitches), "similarities": tuple(m.id for m in pack.measures)}


def _images_of(data: Data, device: torch.device) -> Images:
    def make() -> tuple[Images, int]:
        images = Images.from_dataset(load_data(data), device)
        return images, images.train.nbytes + images.test.nbytes

    return _images.get((data.digest, str(device)), make)


class _Stitching:
    """A pack of stitches and measures in the making."""

    def __init__(self, pack: StitchPack, load: Load, device: torch.device):
        self._pack, self._load, self._device = pack, load, device

    def run(self) -> Iterator[Outcome]:
        pack = self._pack
        self._images = _images_of(pack.a.training.data, self._device)
        self._a = self._network(pack.a)
        self._tops: dict[str, Network] = {}
        for model in {task.b.id: task.b for task in (*pack.stitches, *pack.measures)}.values():
            yield from self._receive(model)
        for stitches in grouped([stitch for stitch in pack.stitches if stitch.b.id in self._tops]):
            yield from self._stitch(stitches)
        measures = [measure for measure in pack.measures if measure.b.id in self._tops]
        for compared in Comparison(measures, self._a, self._tops, self._images).run():
            yield self._similarity(compared)

    def _receive(self, model: Model) -> Iterator[Outcome]:
        """Loads a receiver; where that fails, so do its tasks."""
        try:
            self._tops[model.id] = self._network(model)
        except Exception as error:
            for stitch in self._pack.stitches:
                if stitch.b.id == model.id:
                    yield Outcome([failure_row(stitch.id, "stitches", error, self._device)])
            for measure in self._pack.measures:
                if measure.b.id == model.id:
                    yield Outcome([failure_row(measure.id, "similarities", error, self._device)])

    def _network(self, model: Model) -> Network:
        pinned = self._pack.weights[model.id]
        training = model.training

        def make() -> tuple[Network, int]:
            verify_code(training)
            whole = build(training.arch, training.options, training.data.shape, training.classes)
            whole.load_state_dict(from_bytes(self._load(pinned)))
            network = Network(whole.to(self._device), pinned, self._images.with_grouped_labels(training.labels))
            return network, network.bytes

        # Data set and labels are part of the key: a network is scored on the images it was loaded with.
        key = (pinned, training.arch, training.options, training.data, training.labels, str(self._device))
        return _networks.get(key, make)

    def _stitch(self, stitches: Sequence[Stitch]) -> Iterator[Outcome]:
        """Stitches that share a stream; what breaks their shared work costs them all, and no others."""
        ended: set[str] = set()
        try:
            for end in Group(stitches, self._a, self._tops, self._images).run():
                ended.add(end.stitch.id)
                yield self._outcome(end)
        except Exception as error:
            for stitch in stitches:
                if stitch.id not in ended:
                    yield Outcome([failure_row(stitch.id, "stitches", error, self._device)])

    def _outcome(self, end: FinishedStitch) -> Outcome:
        if end.stitched.error:
            return Outcome([failure_row(end.stitch.id, "stitches", end.stitched.error, self._device)])
        row = stitch_row(end, self._a, self._tops[end.stitch.b.id], self._device)
        return Outcome([*curve_rows(end.stitch.id, end.stitched.curve, self._device), row])

    def _similarity(self, compared: Measurement) -> Outcome:
        if compared.error:
            return Outcome([failure_row(compared.measure.id, "similarities", compared.error, self._device)])
        b, samples = self._tops[compared.measure.b.id], len(self._images.test)
        return Outcome([similarity_row(compared, self._a, b, samples, self._device)])
