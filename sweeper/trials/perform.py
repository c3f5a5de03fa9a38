"""The execution of a pack: tasks in, rows out. It is the only entry point of `sweeper.trials` for the engine.

Networks are loaded by digest; they and the decoded images stay in memory between packs, within a budget. Each task
ends in an outcome: the row of its result, or a failure row with the error that it raised. An error of one task does not
stop the others of the pack.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from sweeper.spec.content.weights import NONE
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import Row
from sweeper.spec.records.saved_state import StateError
from sweeper.spec.records.task import Data, Measurement, Model, Pack, Stitch, StitchPack, TrainPack
from sweeper.trials.data.load import load_dataset as load_data
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.finite import check_weights, infinite_tables, named_in_errors
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.networks.own_input import with_own_input
from sweeper.trials.networks.state_dicts import from_bytes, to_bytes
from sweeper.trials.process import numerics
from sweeper.trials.process.allocator import keep_freed_memory
from sweeper.trials.process.lru_cache import Cache
from sweeper.trials.process.saving import Saving, States, computation_id, read_states
from sweeper.trials.receipts import check_rows, curve_rows, failure_row, model_row, similarity_row, stitch_row
from sweeper.trials.similarity.compare import MeasurementGroup
from sweeper.trials.similarity.measures.evaluate import MeasurementResult
from sweeper.trials.stitching.group_saving import GroupSaving, divide_by_state
from sweeper.trials.stitching.stitch_group import StitchGroup, group_by_stream, stream_key
from sweeper.trials.stitching.stitched_network import FailedStitch, FinishedStitch
from sweeper.trials.training.initial_weights import verify_network_code
from sweeper.trials.training.train import train

Load = Callable[[str], bytes]

HELD_NETWORKS = 2 * 2**30  # bytes of networks that a process keeps between packs
HELD_IMAGES = 4 * 2**30  # bytes of decoded images

_networks: Cache[Network] = Cache(HELD_NETWORKS)
_images: Cache[Images] = Cache(HELD_IMAGES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of a task that ended, its result (or failure) last; for a model also its weights (safetensors)."""

    rows: Sequence[Row]
    weights: bytes | None = None


def perform(
    pack: Pack,
    load: Load,
    device: torch.device | str | None = None,
    precision: str = "auto",
    deterministic: bool = True,
    compile: bool = False,
    states: States | None = None,
    raise_errors: bool = False,
) -> Iterator[Outcome]:
    """Perform the tasks of a pack and yield an outcome for each when it ends.

    The caller fills in the rows' run, attempt, code and versions.

    Args:
        pack: The tasks.
        load: Returns a model's weights (safetensors) by their digest.
        device: Where to compute; by default a GPU if there is one.
        precision: As in `numerics.choose_numerics`.
        deterministic: If true, the same pack on the same device gives the same bits again.
        compile: If true, models are trained with compiled code, as in `compiled`.
        states: Where states of long computations are saved, and those of earlier tries are read; None saves nothing.
        raise_errors: If true, the first error of a task is raised where a debugger can look at it, not recorded.

    Raises:
        SweeperError: If the device does not support the precision; raised at the call.
    """
    torch_device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    keep_freed_memory()
    settings = numerics.choose_numerics(torch_device, precision, deterministic, compile)
    return numerics.run_with_numerics(settings, _outcomes(pack, load, torch_device, states, raise_errors))


def _outcomes(
    pack: Pack, load: Load, device: torch.device, states: States | None, raise_errors: bool
) -> Iterator[Outcome]:
    """Yield the outcomes of a pack; after an error of work that its tasks share, a failure for each unfinished task."""
    if isinstance(pack, TrainPack):
        outcomes = _train(pack, load, device, states)
    else:
        outcomes = _StitchPackRun(pack, load, device, states, raise_errors).run()
    ended_ids: set[str] = set()
    try:
        for outcome in outcomes:
            ended_ids.add(outcome.rows[-1].task)
            yield outcome
    except Exception as error:
        if raise_errors:
            raise
        if isinstance(error, torch.OutOfMemoryError):
            _networks.clear()
            torch.cuda.empty_cache()
        row_kind_by_task = {task: kind for kind, tasks in _tasks_by_row_kind(pack).items() for task in tasks}
        for task in pack.tasks:
            if task not in ended_ids:
                yield Outcome([failure_row(task, row_kind_by_task[task], error, device)])


def _train(pack: TrainPack, load: Load, device: torch.device, states: States | None) -> Iterator[Outcome]:
    """Yield the models of a training run, each when its step is reached."""
    images = _images_of(pack.training.data, device)
    model_by_step = {model.step: model for model in pack.models}
    init_weights = _init_weights(pack)
    spec = {"training": pack.training.id, "last": max(model_by_step), "init": init_weights}
    computation = computation_id("train", spec, device)
    saving = Saving(states, computation, pack.tasks, read_states(states, computation))
    for trained in train(pack.training, sorted(model_by_step), images, lambda: load(str(init_weights)), saving):
        model, blob = model_by_step[trained.step], to_bytes(trained.network)
        network = Network(trained.network, digest(blob), images.with_grouped_labels(pack.training.labels))
        with named_in_errors("on the test images"):
            _ = network.score
        row = model_row(model, network, trained, saving.seconds, device, init_weights)
        rows = [*curve_rows(model.id, trained.curve, device), row]
        check_rows(rows)
        yield Outcome(rows, blob)
        saving.next_task()


def _init_weights(pack: TrainPack) -> str | None:
    """Return the digest of the weights that a run starts from; None for a random initialisation."""
    if pack.training.init:
        return pack.weights[pack.training.init.id]
    return None if pack.training.weights == NONE else pack.training.weights


def _tasks_by_row_kind(pack: Pack) -> dict[str, tuple[str, ...]]:
    """Return the ids of a pack's tasks by the kind of row that they give."""
    if isinstance(pack, TrainPack):
        return {"models": pack.tasks}
    return {"stitches": tuple(s.id for s in pack.stitches), "similarities": tuple(m.id for m in pack.measurements)}


def _images_of(data: Data, device: torch.device) -> Images:
    """Return the decoded images of a data set on a device, from memory if they are there."""

    def make() -> tuple[Images, int]:
        images = Images.from_dataset(load_data(data), device)
        return images, images.train.nbytes + images.test.nbytes

    return _images.get((data.digest, str(device)), make)


class _StitchPackRun:
    """The execution of a pack of stitches and measurements of similarity."""

    def __init__(
        self,
        pack: StitchPack,
        load: Load,
        device: torch.device,
        states: States | None = None,
        raise_errors: bool = False,
    ):
        self._pack, self._load, self._device = pack, load, device
        self._states, self._raise_errors = states, raise_errors

    def run(self) -> Iterator[Outcome]:
        pack = self._pack
        self._images = _images_of(pack.a.training.data, self._device)
        self._a = self._network(pack.a)
        self._tops: dict[str, Network] = {}
        for model in {task.b.id: task.b for task in (*pack.stitches, *pack.measurements)}.values():
            yield from self._load_top(model)
        for stitches in group_by_stream([stitch for stitch in pack.stitches if stitch.b.id in self._tops]):
            yield from self._stitch_stream(stitches)
        measurements = [measurement for measurement in pack.measurements if measurement.b.id in self._tops]
        for result in MeasurementGroup(measurements, self._a, self._tops, self._images).run():
            yield self._similarity(result)

    def _load_top(self, model: Model) -> Iterator[Outcome]:
        """Load a top model; if that fails, yield a failure for each of its tasks."""
        try:
            self._tops[model.id] = self._network(model)
        except Exception as error:
            for task in (*self._pack.stitches, *self._pack.measurements):
                if task.b.id == model.id:
                    yield self._failure(task, error)

    def _network(self, model: Model) -> Network:
        weights = self._pack.weights[model.id]
        training = model.training

        def make() -> tuple[Network, int]:
            verify_network_code(training)
            module = build(training.builder, training.options, training.image, training.classes)
            tables = infinite_tables(module)
            module.load_state_dict(from_bytes(self._load(weights)))
            with named_in_errors(f"model {model.id}"):
                check_weights(module, tables)
            module = with_own_input(module, training.input, self._images.mean, self._images.std)
            network = Network(module.to(self._device), weights, self._images.with_grouped_labels(training.labels))
            return network, network.bytes

        # Images and labels are part of the key: a network is scored on the images it was loaded with.
        images = (training.data, training.labels, training.input)
        key = (weights, training.arch, training.options, images, str(self._device))
        return _networks.get(key, make)

    def _stitch_stream(self, stitches: Sequence[Stitch]) -> Iterator[Outcome]:
        """Yield the outcomes of stitches that share a stream; those that have a saved state go on from there."""
        stitch_by_id = {stitch.id: stitch for stitch in stitches}
        spec = {"a": self._pack.a.id, "weights": self._a.digest, **stream_key(stitches[0])._asdict()}
        weights = {stitch.id: self._tops[stitch.b.id].digest for stitch in stitches}
        for ids, saving in divide_by_state(weights, self._states, computation_id("stitch", spec, self._device)):
            members = [stitch_by_id[stitch] for stitch in ids]
            try:
                yield from self._stitch(members, saving)
            except StateError as error:
                saving.start_anew(error)
                yield from self._stitch(members, saving)
            saving.end()

    def _stitch(self, stitches: Sequence[Stitch], saving: GroupSaving) -> Iterator[Outcome]:
        """Yield the outcomes of stitches that are trained together; an error of their shared work fails only these.

        Raises:
            StateError: Their saved state doesn't fit; nothing has been yielded.
        """
        ended_ids: set[str] = set()
        try:
            for result in StitchGroup(stitches, self._a, self._tops, self._images).run(saving):
                ended_ids.add(result.stitch.id)
                yield self._outcome(result)
        except StateError:
            raise
        except Exception as error:
            for stitch in stitches:
                if stitch.id not in ended_ids:
                    yield self._failure(stitch, error)

    def _outcome(self, result: FinishedStitch | FailedStitch) -> Outcome:
        stitch = result.stitch
        if isinstance(result, FailedStitch):
            return self._failure(stitch, result.error)
        row = stitch_row(result, self._a, self._tops[stitch.b.id], self._device)
        return self._finite(stitch, [*curve_rows(stitch.id, result.stitched.curve, self._device), row])

    def _similarity(self, result: MeasurementResult) -> Outcome:
        measurement = result.measurement
        if result.error:
            return self._failure(measurement, result.error)
        b, samples = self._tops[measurement.b.id], len(self._images.test)
        return self._finite(measurement, [similarity_row(result, self._a, b, samples, self._device)])

    def _finite(self, task: Stitch | Measurement, rows: Sequence[Row]) -> Outcome:
        """Return the outcome of a task, which is a failure if a number of its rows is not finite."""
        try:
            check_rows(rows)
        except FloatingPointError as error:
            return self._failure(task, error)
        return Outcome(rows)

    def _failure(self, task: Stitch | Measurement, error: Exception) -> Outcome:
        """Return the outcome of a task that failed; an error about numbers also names the models and the cuts.

        Raises:
            Exception: The error itself, if errors are to be raised.
        """
        if isinstance(error, FloatingPointError):
            pair = f"A is model {task.a.id} at {task.cut_a}, B is model {task.b.id} at {task.cut_b}"
            error = FloatingPointError(f"{error}; {pair}").with_traceback(error.__traceback__)
        if self._raise_errors:
            raise error
        kind = "stitches" if isinstance(task, Stitch) else "similarities"
        return Outcome([failure_row(task.id, kind, error, self._device)])
