"""The check of files of weights before a job starts, in a process of its own: `python -m` with this module's name.

It reads a list of questions as JSON from stdin and writes a list of answers to stdout: the reason why a file doesn't
fit its network, or "" if it fits. Planning imports no torch, so `sweeper.spec.job.weight_fits` starts this process.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sweeper.errors import NetworkError, SweeperError
from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.probed import is_external
from sweeper.spec.job.weight_fits import HEAD_ALONE
from sweeper.spec.records.task import Options
from sweeper.spec.user_code.processes import open_answers
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.state_dicts import fits, fitted, has_store_names
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.layouts import as_library_reads
from sweeper.trials.networks.weight_files import read_state_dict
from sweeper.trials.training.initial_weights import with_new_ends


def weights_misfit(path: Path, arch: str, options: Options, image: Shape, classes: int, reset: str) -> str:
    """Return the reason why a file's weights can't start a training run, as a sentence; "" if they can.

    Args:
        path: The file.
        arch: The architecture of the run (`TrainingRun.builder`); a user's code is trusted.
        options: The settings of the architecture.
        image: The shape of an image (channels, height, width).
        classes: The number of outputs.
        reset: As in `TrainingRun`.
    """
    try:
        state = _state(path)
    except NetworkError as error:
        return f"{path} is {error}"
    network = None
    try:
        named_by_store = has_store_names(state)
        network = _network(arch, options, image, classes, is_external(arch) and not named_by_store)
        if is_external(arch) and not named_by_store:
            state = as_library_reads(arch, network, state, new_head=reset == "head")
        state = with_new_ends(network, dict(state), reset, seed=0) if named_by_store else state
        fitted(network, state, new_head=reset == "head")
    except SweeperError as error:
        head_note = (
            HEAD_ALONE if reset == "none" and network is not None and fits(network, state, new_head=True) else ""
        )
        return f"{path}: {error}{head_note}"
    return ""


@cache
def _network(arch: str, options: Options, image: Shape, classes: int, whole: bool) -> nn.Module:
    """Return a network as its library makes it (`whole`) or as stages."""
    return make(arch, image, classes, trust=True, options=options) if whole else build(arch, options, image, classes)


_states: dict[Path, Mapping[str, Tensor]] = {}


def _state(path: Path) -> Mapping[str, Tensor]:
    """Return a file's weights; those of the last file are kept, as a job may use them for several networks."""
    if path not in _states:
        _states.clear()
        try:
            _states[path] = read_state_dict(path.read_bytes())
        except OSError as error:
            raise NetworkError(f"not readable: {error.strerror}") from None
    return _states[path]


def main() -> None:
    """Answer the questions on stdin. What a user's code prints goes to stderr."""
    answers_file = open_answers()
    questions: list[dict[str, Any]] = json.load(sys.stdin)
    answers = [
        weights_misfit(
            Path(question["path"]),
            question["arch"],
            tuple((name, value) for name, value in question["options"]),
            tuple(question["image"]),
            question["classes"],
            question["reset"],
        )
        for question in questions
    ]
    with answers_file:
        json.dump(answers, answers_file)


if __name__ == "__main__":
    main()
