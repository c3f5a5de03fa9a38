"""The saving of groups of stitches, and the division of stitches by the state that they go on from.

Stitches of one stream take their steps together, so their states are saved together, in one object, which is there
whole or not at all. Which stitches a pack holds may differ from try to try. So every stitch goes on from the latest
state that contains it. Stitches that go on from different states, or from none, are trained one group after the other.
"""

from collections.abc import Callable, Mapping

from sweeper.spec.records.saved_state import StateError
from sweeper.trials.process.saving import NUMBER, ComputationState, Saving, States, read_states
from sweeper.trials.stitching.stitch_state import STEP, STITCHES, WEIGHTS


class GroupSaving:
    """The saving of one group, and the state that it goes on from, if there is one."""

    def __init__(
        self,
        saving: Saving | None = None,
        start: ComputationState | None = None,
        weights: Mapping[str, str] | None = None,
    ):
        """Prepare for a group.

        Args:
            saving: Saves its states; None saves nothing.
            start: The state that it goes on from.
            weights: The digest of B's weights, by the id of each stitch.
        """
        self._saving, self._start, self._weights = saving or Saving(), start, weights or {}

    def resume(self, restore: Callable[[ComputationState], None]) -> None:
        """Restore the state that the group goes on from, if there is one.

        Raises:
            StateError: It doesn't fit; the group must then be built anew, after `start_anew`.
        """
        if self._start:
            self._saving.resume_from(self._start, restore)
            self._start = None

    def start_anew(self, error: StateError) -> None:
        """Delete the state that the group was to go on from, since it can't."""
        assert self._start
        self._saving.ignore(self._start, error)
        self._start = None

    def save_if_due(self, state: Callable[[], ComputationState]) -> None:
        """Save the present state if it is time."""

        def with_weights() -> ComputationState:
            present = state()
            return ComputationState(present.tensors, {**present.values, WEIGHTS: dict(self._weights)})

        self._saving.save_if_due(with_weights)

    def end(self) -> None:
        """Drop the states of a group whose stitches have ended."""
        self._saving.end()


def divide_by_state(
    weights: Mapping[str, str], states: States | None, computation: str
) -> list[tuple[list[str], GroupSaving]]:
    """Divide stitches of one stream by the saved state that they go on from.

    Args:
        weights: The digest of B's weights, by the id of each stitch.
        states: Where states are saved.
        computation: The digest of what the stitches share.

    Returns:
        The ids of the stitches that are trained together, each list with its saving.
    """
    candidates = {state.name: state for state in read_states(states, computation)}
    name_by_stitch = {stitch: _best(stitch, digest, candidates) for stitch, digest in weights.items()}
    groups: dict[str, list[str]] = {}
    for stitch, name in name_by_stitch.items():
        groups.setdefault(name, []).append(stitch)
    divided: list[tuple[list[str], GroupSaving]] = []
    for name, ids in groups.items():
        # A state that other stitches may need is kept: the end of the run deletes it, when they are done.
        own_states = [state for state in candidates.values() if _stitches(state).keys() <= set(ids)]
        saving = Saving(states, computation, ids, own_states)
        divided.append((ids, GroupSaving(saving, candidates.get(name), {stitch: weights[stitch] for stitch in ids})))
    return divided


def _best(stitch: str, digest: str, candidates: Mapping[str, ComputationState]) -> str:
    """Return the name of the state in which a stitch has come farthest; "" if there is none."""
    usable = [state for state in candidates.values() if _stitches(state).get(stitch) == digest]
    return max(usable, key=lambda state: (state.values[STEP], state.values[NUMBER])).name if usable else ""


def _stitches(state: ComputationState) -> Mapping[str, str]:
    """Return the digest of B's weights for the stitches that a state contains, by their ids; none if it is foreign."""
    try:
        _ = state.value(STEP, int), state.value(NUMBER, int)
        weights, parts = state.value(WEIGHTS, dict), state.value(STITCHES, dict)
    except StateError:
        return {}
    return {stitch: weights.get(stitch, "") for stitch in parts}
