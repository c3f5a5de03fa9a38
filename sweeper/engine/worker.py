"""The worker: a long-lived process that performs one pack after the other. It is a `Trainable` of Tune, a pack a trial.

It never raises, because Tune ends the process of a trial that fails, and a new one costs 1.4 s and the import of torch.
Errors are reported to the driver instead, and their rows are committed to the store.
"""

import os
from dataclasses import dataclass, fields
from typing import Any, cast

import ray
from ray.exceptions import RayError
from ray.tune import Trainable
from threadpoolctl import threadpool_limits

from sweeper.spec.records.text import error_text, trace_text

from . import nodes
from .death import WorkerPlace
from .dispatch import Settings, wait
from .faults import Fault
from .outage import Outage, StoreLost, WaitingStore
from .pack_scheduler import FailureGroup, Order, Report
from .placement import threads, workers_on
from .saved_states import SavedStates
from .watch import Watch
from .work import InputWeights, Performer, Work, load_object, with_data_folder
from .worker_log import own_logs

# TORCHINDUCTOR_COMPILE_THREADS is the number of processes in which torch compiles.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that limit numerical libraries to `threads` threads, if set before they load."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


class Worker(Trainable):
    """A Tune trainable; its `config` holds the name of the broker and the id of a pack."""

    def setup(self, config: dict[str, Any]) -> None:
        """Connect to the broker; everything else is set up at the first step, so that errors in it are reported."""
        self._broker = ray.get_actor(config["dispatch"])
        self._settings: Settings = wait(self._broker.settings.remote())
        self._worker_id = (ray.util.get_node_ip_address(), os.getpid())
        self._place = WorkerPlace.of_this_process(ray.get_runtime_context().get_node_id(), own_logs())
        self._pack_id: str = config["pack"]
        self._context: WorkerContext | None = None
        self._work: Work | None = None
        self._is_ending = False  # the run is ending, as the broker answered while this worker waited for the store
        self._outage = Outage(self._settings.engine.wait_for_store, self._on_outage, self._may_wait)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next pack; True tells Tune that this process can be reused."""
        self._pack_id, self._work = new_config["pack"], None
        return True

    def step(self) -> dict[str, Any]:
        """Perform tasks of the pack until there is something to report, and return the report as plain values."""
        try:
            report = self._advance()
        except StoreLost as error:  # no task is to blame; those whose rows are not stored are performed again
            report = Report(over=True, fault=Fault.LOST, error=str(error))
        except Exception as error:
            message = f"{type(error).__name__}: {error_text(error)}"
            report = Report(over=True, fault=Fault.DEFECT, error=message, trace=trace_text(error))
        if report.over and self._context:
            self._context.watch.work = None
        return {"done": report.over, "pack": self._pack_id, "report": to_plain(report)}

    def cleanup(self) -> None:
        """Stop the watchdog."""
        if self._context:
            self._context.watch.stop()

    def _advance(self) -> Report:
        if self._work is None:
            actor = None if self._context else ray.get_runtime_context().current_actor
            order: Order | None = wait(self._broker.fetch.remote(self._pack_id, self._worker_id, actor, self._place))
            if order is None:
                return Report(over=True, fault=Fault.LOST, error="the driver withdrew the pack")
            self._context = self._context or self._make_context()
            pack = with_data_folder(order.pack, self._settings.data)
            store = self._context.store
            states = SavedStates(store.scratch, self._settings.engine.save_every)
            inputs = InputWeights(store)
            outcomes = self._context.performer(pack, inputs.load, states=states, **self._settings.numerics)
            self._work = states.work = Work(order, outcomes, run=self._settings.run, store=store, inputs=inputs)
            self._broker.pulse.remote(self._worker_id, self._pack_id, 0, 0.0)  # the work begins
            self._context.watch.work = self._work
        return self._work.advance()

    def _make_context(self) -> "WorkerContext":
        pin_threads(threads(self._settings.engine))
        node = nodes.this_node()
        watch = Watch(
            workers_per_node=workers_on(node, self._settings.engine, [node]),
            pulse=self._pulse,
            store_last_report=lambda pack_id, report: wait(
                self._broker.store_last_report.remote(pack_id, report), timeout=10
            ),
        )
        performer = cast(Performer, load_object(self._settings.performer))
        store = WaitingStore.open(self._settings.opener, self._settings.store, self._outage)
        watch.start()
        return WorkerContext(performer, store, watch)

    def _pulse(self, pack_id: str | None, memory: int, idle: float) -> bool:
        try:
            pulse = self._broker.pulse.remote(self._worker_id, pack_id, memory, idle, self._outage.text)
            return wait(pulse, timeout=10)
        except RayError:  # the driver is gone, so Ray will end this process too
            return True

    def _on_outage(self, text: str) -> None:
        """Tell the broker what this worker waits for, so that the driver shows it and doesn't count the time."""
        if self._work:
            self._work.set_waiting(bool(text))
        self._is_ending = self._pulse(self._pack_id, 0, 0.0)

    def _may_wait(self) -> bool:
        return not (self._is_ending or (self._work and self._work.ending))


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The objects that a worker keeps from pack to pack."""

    performer: Performer
    store: WaitingStore
    watch: Watch


def pin_threads(threads: int) -> None:
    """Limit the numerical libraries of this process to `threads` threads, so that workers do not compete for cores.

    Torch reads the environment variables when it is loaded, which happens later. Numpy's BLAS was loaded by Ray before
    they were set, so it is limited directly.
    """
    os.environ.update(thread_environment(threads))
    threadpool_limits(threads)


def to_plain(report: Report) -> dict[str, Any]:
    """Return a report as a dict without its empty fields.

    The values are JSON-compatible, because Tune writes results as JSON; hence the list of pairs for `weights`.
    """
    plain = {item.name: getattr(report, item.name) for item in fields(report)}
    return {name: value for name, value in plain.items() if value} | {"weights": list(report.weights.items())}


def from_plain(plain: dict[str, Any]) -> Report:
    """Return the report from the result of `to_plain`."""
    groups = [FailureGroup(*group) for group in plain.get("groups", ())]
    return Report(**plain | {"groups": groups, "weights": dict(plain["weights"])})
