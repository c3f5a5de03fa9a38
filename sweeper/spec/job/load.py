"""From a job file and overrides to a checked, resolved `Sweep`, or to every mistake that stands in them."""

import re
from collections.abc import Iterable
from pathlib import Path

from sweeper.errors import DataError, JobError, Mistake, did_you_mean
from sweeper.spec.cards import probed
from sweeper.spec.content.weights import NONE, is_file
from sweeper.spec.job import resolve, source
from sweeper.spec.job.check import findings
from sweeper.spec.job.checks.finding import Finding
from sweeper.spec.job.source import Keys, Place, Tree, dotted
from sweeper.spec.job.sweep import Folder, Sweep
from sweeper.spec.job.validate import validate
from sweeper.spec.user_code import code

# A comma list needs no brackets: `width=4,8`.
_COMMA_LIST = re.compile(r"""[^,()\[\]{}'"]+(,[^,()\[\]{}'"]+)+""")
# Sections that a job may leave out and an override may still reach into.
_OPTIONAL = ("engine", "limits")


def load(path: str | Path, overrides: Iterable[str] = (), trust: bool = False) -> Sweep:
    """The job of a file, with overrides such as `models.weak.width=4,8`, validated as a whole and resolved. `trust`:
    code of the user's that it names may be run, later.

    Raises JobError with every mistake: file, line, column, key, what is wrong, what would be right.
    """
    return read(path, overrides, trust)[0]


def read(path: str | Path, overrides: Iterable[str] = (), trust: bool = False) -> tuple[Sweep, str]:
    """The same, and the file's text as it was given."""
    path = Path(path)
    text = source.read(path)
    tree, mistakes = source.parse(text, str(path))
    mistakes += override(tree, overrides)
    validated = validate(tree)
    mistakes += validated.mistakes
    sweep, lost = _locate(validated.sweep, path)
    aside = validated.aside | ({("dataset",)} if lost else set())
    sweep, adrift = _locate_weights(sweep, path)
    sweep = _trusted(sweep, path) if trust else sweep
    found = [*lost, *adrift, *(each for each in findings(sweep) if not _follows(each, aside))]
    mistakes += [_mistake(tree, each) for each in found]
    if mistakes:
        raise JobError(sorted(set(mistakes), key=lambda mistake: (mistake.line == 0, mistake.line, mistake.column)))
    return resolve.resolve(sweep), text


def override(tree: Tree, overrides: Iterable[str]) -> list[Mistake]:
    """Sets what the overrides name, in the tree; returns what is wrong with them."""
    mistakes = []
    for text in overrides:
        try:
            _override(tree, text)
        except JobError as error:
            mistakes += error.mistakes
    return mistakes


def _override(tree: Tree, text: str) -> None:
    way, equals, value = text.partition("=")
    keys = tuple(way.strip().split("."))
    place = Place(f"override '{text}'")
    if not equals or not all(keys):
        raise JobError([place.mistake("not an override", right="write path=value, such as models.weak.width=4,8")])
    holder = tree
    for i, key in enumerate(keys[:-1]):
        holder = _step(holder, keys[: i + 1], key, place)
    new = source.parse_value(f"[{value}]" if _COMMA_LIST.fullmatch(value) else value, place.file)
    new.key = place
    if isinstance(holder.value, dict):
        holder.value[keys[-1]] = new
    elif isinstance(holder.value, list):
        _step(holder, keys, keys[-1], place)
        holder.value[int(keys[-1])] = new
    else:
        raise JobError([place.mistake("there is nothing under it", dotted(keys[:-1]))])


def _step(holder: Tree, keys: Keys, key: str, place: Place) -> Tree:
    """One key further on an override's way, which must be there already."""
    if found := holder.child(int(key) if isinstance(holder.value, list) and key.isdigit() else key):
        return found
    if isinstance(holder.value, dict) and keys in [(name,) for name in _OPTIONAL]:
        return holder.value.setdefault(key, Tree({}, place, place))
    if isinstance(holder.value, list):
        right = f"a number from 0 to {len(holder.value) - 1} comes after {dotted(keys[:-1])}"
    else:
        known = list(holder.value) if isinstance(holder.value, dict) else []
        right = did_you_mean(key, known) or (f"there are {', '.join(known)}" if known else "")
    raise JobError([place.mistake("the job has no such key", dotted(keys), right)])


def _locate(sweep: Sweep, path: Path) -> tuple[Sweep, list[Finding]]:
    """Makes a data set's folder absolute: it is relative to the job file, and may name `~` and `${VARIABLES}`."""
    if isinstance(sweep.dataset, str):
        return sweep, []
    folders, lost = {}, []
    for kind, text in sweep.dataset.model_dump(exclude_none=True).items():
        try:
            folders[kind] = str(resolve.locate(text, path.parent))
        except DataError as error:
            lost.append(Finding(("dataset", kind), str(error)))
    if lost:  # any data set serves the checks that remain
        return sweep.model_copy(update={"dataset": "digits"}), lost
    return sweep.model_copy(update={"dataset": Folder(**folders)}), []


def _locate_weights(sweep: Sweep, path: Path) -> tuple[Sweep, list[Finding]]:
    """The same of files of weights."""
    models, lost = dict(sweep.models), []
    for name, family in sweep.models.items():
        try:
            located = [str(resolve.locate(text, path.parent)) if is_file(text) else text for text in family.weights]
            models[name] = family.model_copy(update={"weights": tuple(located)})
        except DataError as error:
            lost.append(Finding(("models", name, "weights"), str(error)))
            models[name] = family.model_copy(update={"weights": (NONE,)})
    return sweep.model_copy(update={"models": models}), lost


def _trusted(sweep: Sweep, path: Path) -> Sweep:
    """The job with the code that it names, which may be run. A file of code is relative to the job file, as folders
    and weights are."""
    archs = (arch for family in sweep.models.values() for arch in family.arch)
    networks = dict.fromkeys(arch for arch in archs if probed.is_user_code(arch))
    used = dict.fromkeys(use.name for section in sweep.stitch for use in section.stitcher)
    stitchers = [name for name in used if ":" in name and name not in networks]
    found = [code.of_file(name, path.parent) if code.by_path(name) else code.of(name) for name in stitchers]
    return sweep.model_copy(update={"code": (*map(code.of, networks), *found)})


def _follows(found: Finding, aside: frozenset[Keys]) -> bool:
    """Whether a finding only follows from a mistake that was reported already."""
    return any(keys[: len(wrong)] == wrong for wrong in aside for keys in (found.keys, *found.needs))


def _mistake(tree: Tree, found: Finding) -> Mistake:
    at, keys = tree.walk(found.keys)
    place = at.key if at.key and (found.of_key or isinstance(at.value, dict)) else at.place
    return place.mistake(found.what, dotted(keys), found.right, found.shift + (1 if found.shift and at.quoted else 0))
