"""The state of stitches that train together under the protocol `strict`, between two steps."""

from collections.abc import Callable, Sequence

from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import module_tensors, restore_module
from sweeper.trials.stitching.stitch_state import STEP, STITCHES, record_state, restore_record
from sweeper.trials.stitching.stitched_network import Batch, StitchedNetwork, without_error
from sweeper.trials.stitching.strict_states import ProbeState, TrainingState

FINISHED, MODULES, RECORD = "finished", "modules", "record"


class StrictGroup:
    """The state that the steps of a group change: the number of steps, the unfinished stitches, and the finished ones.

    All stitches of a group are scored together at its end, so a state has the weights of the finished ones, too.
    """

    def __init__(self, states: Sequence[TrainingState | ProbeState]):
        self._states = states
        self.unfinished = list(states)
        self.step = 0  # the number of steps taken
        self.evaluated = False  # True: the stitches that are measured after this step have been

    @property
    def probes(self) -> list[ProbeState]:
        """The unfinished stitches that will be solved."""
        return [state for state in self.unfinished if isinstance(state, ProbeState)]

    def finish(self, state: TrainingState | ProbeState, save: Callable[[], None]) -> StitchedNetwork:
        """Set the weights of a stitch that has ended, and return its network; `save` may be called meanwhile."""
        stitched = state.finish(save)
        self.unfinished.remove(state)
        return stitched

    def state(self) -> ComputationState:
        """Return the state after the measurements of a step, without the stitches that have failed."""
        healthy = without_error([state.stitched for state in self._states])
        parts = {state.stitched.id: self._state_of(state) for state in self._states if state.stitched in healthy}
        return ComputationState.of_parts({STITCHES: ComputationState.of_parts(parts)}, **{STEP: self.step})

    def restore(self, state: ComputationState, batch: Callable[[int], Batch], must_repeat: Callable[[], bool]) -> None:
        """Go on from a state of the same stitches.

        Args:
            state: The state.
            batch: Returns A's activations and the labels for a step.
            must_repeat: As in `protocol_strict.train`.

        Raises:
            StateError: It doesn't fit; the group must then be built anew.
        """
        self.step, self.evaluated = state.value(STEP, int), True
        parts = {unfinished: state.part(STITCHES).part(unfinished.stitched.id) for unfinished in self._states}
        self.unfinished = [stitch for stitch, part in parts.items() if not part.value(FINISHED, bool)]
        self._repeat_batches(batch, must_repeat)
        for stitch, part in parts.items():
            if stitch in self.unfinished:
                stitch.restore(part)
            else:
                _restore_finished(stitch.stitched, part)

    def _repeat_batches(self, batch: Callable[[int], Batch], must_repeat: Callable[[], bool]) -> None:
        """Compute the batches again that later ones use, and those that the solved stitches observe."""
        for step in range(self.step if self.unfinished else 0):
            if not (self.probes or must_repeat()):
                return
            feed, labels = batch(step)
            for probe in self.probes:
                probe.observe(feed, labels)

    def _state_of(self, state: TrainingState | ProbeState) -> ComputationState:
        if state in self.unfinished:
            present = state.state()
        else:
            modules = ComputationState(module_tensors(MODULES, state.stitched.trained_modules), {})
            present = ComputationState.of_parts({MODULES: modules, RECORD: record_state(state.stitched, [])})
        return ComputationState(present.tensors, {**present.values, FINISHED: state not in self.unfinished})


def _restore_finished(stitched: StitchedNetwork, state: ComputationState) -> None:
    restore_module(MODULES, stitched.trained_modules, state.part(MODULES).tensors)()
    restore_record(stitched, state.part(RECORD))
