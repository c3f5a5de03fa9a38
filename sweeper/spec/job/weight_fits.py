"""The check that each file of weights fits the networks of its family, before a job starts.

The files are read by a process of its own (`sweeper.trials.training.weights_check`), because planning doesn't import
torch. That a file fits is remembered in the cache folder, by the file's content.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeper.files import cache_folder, write_cache
from sweeper.spec.cards.archs import complete_options
from sweeper.spec.cards.labels import output_count
from sweeper.spec.cards.probed import maker_version
from sweeper.spec.cards.shapes import Shape
from sweeper.spec.cards.user_networks import networks_by_name
from sweeper.spec.content.weights import NONE, select_weights
from sweeper.spec.job import grid
from sweeper.spec.job.checks.finding import Finding, keys_to_value
from sweeper.spec.job.family import Family, redrawn_layers
from sweeper.spec.job.inputs import network_input
from sweeper.spec.job.source import Keys
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import Options
from sweeper.spec.user_code.processes import run_module

CHECK = "sweeper.trials.training.weights_check"
# The end of a reason, where the file fits but for its last layer.
HEAD_ALONE = "; all layers but the last fit"
VERSION = 1  # of the check; another version checks all files again


@dataclass(frozen=True, slots=True)
class FitQuestion:
    """A file of weights and a network whose training it may start."""

    path: str
    digest: str
    arch: str  # the name from which the network is built
    options: Options
    image: Shape
    classes: int
    reset: str


def weight_findings(sweep: ResolvedSweep) -> list[Finding]:
    """Return a mistake for each file of weights that doesn't fit a network of its family.

    A file that is no longer on this machine is not checked: a job in a store carries its digest.
    """
    places = {
        question: keys
        for name, family in reversed(sweep.models.items())
        for question, keys in reversed(list(_questions(("models", name), family, sweep)))
    }
    questions = [question for question in reversed(places) if not _known_to_fit(question)]
    findings, seen = [], set()
    for question, reason in zip(questions, _ask(questions), strict=True):
        if not reason:
            write_cache(_mark(question), "")
        elif (places[question], reason) not in seen:
            seen.add((places[question], reason))
            findings.append(Finding(places[question], reason, _correction(question, reason)))
    return findings


def _questions(keys: Keys, family: Family, sweep: ResolvedSweep) -> Iterator[tuple[FitQuestion, Keys]]:
    """Yield the combinations of file and network in a family's grid, with the keys of the file."""
    user_networks = networks_by_name(sweep.user_networks)
    names = ("weights", "arch", "labels", "reset", "head", "input")
    axes: dict[str, list[tuple[int, Any]]] = {}
    for name in names:
        axes[name] = list(enumerate(getattr(family, name) or (None,)))
    axes |= {name: list(enumerate(values)) for name, values in family.options.items()}
    zipped = [group for group in ([name for name in names if name in axes] for names in family.zip) if group]
    for point in grid.expand(axes, zipped):
        (i, name), (_, arch), (_, labels) = point["weights"], point["arch"], point["labels"]
        weights = None if name == NONE else select_weights(sweep.weights, name, arch)
        if weights and Path(weights.path).is_file():
            images = network_input(point["input"][1], sweep.data, name, arch, sweep.weights)
            settings = {option: point[option][1] for option in family.options}
            network = user_networks.get(arch)
            options = network.complete(settings) if network else tuple(complete_options(arch, settings).items())
            yield (
                FitQuestion(
                    weights.path,
                    weights.digest,
                    network.where if network else arch,
                    options,
                    images.shape(sweep.data.shape) if images else sweep.data.shape,
                    output_count(labels, sweep.data),
                    redrawn_layers(point["head"][1], point["reset"][1]),
                ),
                keys_to_value((*keys, "weights"), family.weights, i),
            )


def _ask(questions: Sequence[FitQuestion]) -> list[str]:
    """Return for each question the reason why the file doesn't fit; "" if it fits."""
    if not questions:
        return []
    text = json.dumps([asdict(question) for question in questions])
    check = run_module([CHECK], text)
    if check.exit_code:
        ending = check.last_line or f"exit code {check.exit_code}"
        return [f"{question.path} can't be checked: {ending}" for question in questions]
    return json.loads(check.answer)


def _correction(question: FitQuestion, reason: str) -> str:
    """Return what would be right where the reason doesn't say it itself."""
    if reason.endswith(HEAD_ALONE):
        return (
            "`head: probe` draws a new last layer and trains it alone, `reset: head` draws it and trains all layers; "
            "or give labels with as many classes as the file"
        )
    if " classes, the network has " in reason:
        return "give a data set or labels with as many classes, or weights with as many outputs as these labels"
    if "the weights don't fit" in reason:
        settings = ", ".join(f"{name}: {value}" for name, value in question.options)
        network = f"{question.arch} ({settings})" if settings else question.arch
        return f"give the architecture and settings of the network that was saved; the job has {network}"
    return ""


def _known_to_fit(question: FitQuestion) -> bool:
    return _mark(question).exists()


def _mark(question: FitQuestion) -> Path:
    """Return the file in the cache folder whose presence says that a file of weights fits."""
    fields = {**asdict(question), "path": "", "maker": maker_version(question.arch), "version": VERSION}
    return cache_folder() / "fits" / digest(json.dumps(fields).encode())[:32]
