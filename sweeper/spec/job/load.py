"""`load`: read a job file and overrides, report every mistake with its location, and resolve the job."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from sweeper.errors import DataError, JobError, Mistake, NetworkError, did_you_mean
from sweeper.spec.cards import probed
from sweeper.spec.content.fingerprint import Progress
from sweeper.spec.content.folders import Listing
from sweeper.spec.content.weights import NONE, is_file
from sweeper.spec.job import override_value, resolve, source
from sweeper.spec.job.check import content_with_findings, findings, listing_with_findings
from sweeper.spec.job.checks.finding import Finding, keys_to_value
from sweeper.spec.job.signatures import read_signatures
from sweeper.spec.job.source import Keys, Location, Tree, dotted
from sweeper.spec.job.sweep import DatasetFolder, PartlyResolvedSweep, ResolvedSweep, Sweep
from sweeper.spec.job.validate import Validated, validate
from sweeper.spec.job.weight_fits import weight_findings
from sweeper.spec.records.task import Data
from sweeper.spec.user_code import code

# Sections in which an override may set a key even if the job leaves the section out.
_OPTIONAL = ("dataset", "engine", "limits")

Fetch = Callable[[PartlyResolvedSweep, Data], bool]  # see `load_with_text`


def load(path: str | Path, overrides: Iterable[str] = (), trust: bool = False) -> ResolvedSweep:
    """Return the resolved job of a file, after a check of the whole job.

    Args:
        path: The job file.
        overrides: Settings that replace those in the file, such as `models.weak.width=4,8`.
        trust: True allows the user's code that the job names to be run.

    Raises:
        JobError: The job has mistakes; each is given with file, line, column, key, description and correction.
    """
    return load_with_text(path, overrides, trust)[0]


def load_with_text(
    path: str | Path,
    overrides: Iterable[str] = (),
    trust: bool = False,
    fetch: Fetch | None = None,
    progress: Progress | None = None,
) -> tuple[ResolvedSweep, str]:
    """Return the resolved and checked job, and the text of its file without the overrides.

    Args:
        path: The job file.
        overrides: Settings that replace those in the file.
        trust: True allows the user's code that the job names to be run.
        fetch: Called with a job without mistakes, which carries the cards and weights that this machine has, and its
            data set. It puts the other cards of networks and weights that the job needs into the cache folder, and
            returns True if any was missing; the job is then checked again, because the cuts of these networks are
            known only then.
        progress: Called with a step of the work, and the numbers of files or images done so far and of all of them, if
            a data set's files are read.

    Raises:
        JobError: The job has mistakes, as in `load`.
    """
    path = Path(path)
    text = source.read_text(path)
    tree, validated, mistakes = _validated(text, path, overrides)
    sweep, data_findings = _locate(validated.sweep, path)
    wrong = validated.wrong | ({("dataset",)} if data_findings else set())
    sweep, path_findings = _locate_weights(sweep, path)
    sweep, code_findings = _trusted(sweep, path) if trust else (PartlyResolvedSweep.of(sweep), [])
    listing, listing_findings = listing_with_findings(sweep)
    expected = resolve.expected_data(listing) if isinstance(listing, Listing) else listing
    independent = [
        finding
        for finding in (*code_findings, *listing_findings, *findings(sweep, expected))
        if not _depends_on_mistake(finding, wrong)
    ]
    _raise_mistakes(
        [*mistakes, *(_mistake(tree, finding) for finding in (*data_findings, *path_findings, *independent))]
    )
    assert listing is not None, "a data set that can't be read is a mistake"
    data = _checked_data(sweep, listing, expected, tree, progress)
    sweep = resolve.with_available(sweep, data)
    if fetch and _fetch(fetch, sweep, data, tree):
        _raise_mistakes([_mistake(tree, finding) for finding in findings(sweep, data)])
    resolved = resolve.resolve(sweep, data)
    _raise_mistakes(_mistake(tree, finding) for finding in weight_findings(resolved))
    return resolved, text


def load_as_written(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Sweep, str]:
    """Return the job of a file as it is written, with the paths in it as they are, and the file's text.

    Raises:
        JobError: A key or value is wrong in itself; how they fit together is not checked.
    """
    text = source.read_text(Path(path))
    _, validated, mistakes = _validated(text, Path(path), overrides)
    _raise_mistakes(mistakes)
    return validated.sweep, text


def check_without_data(path: str | Path, overrides: Iterable[str] = (), trust: bool = False) -> None:
    """Check a job whose data set and weights are on other machines: all that doesn't depend on them.

    Args:
        path: The job file.
        overrides: Settings that replace those in the file.
        trust: True allows the user's code that the job names to be run.

    Raises:
        JobError: The job has mistakes, as in `load`.
    """
    path = Path(path)
    tree, validated, mistakes = _validated(source.read_text(path), path, overrides)
    sweep, _ = _locate_weights(validated.sweep, path)
    sweep, code_findings = _trusted(sweep, path) if trust else (PartlyResolvedSweep.of(sweep), [])
    data, listing_findings, wrong = None, [], validated.wrong | {("dataset",)}
    if isinstance(sweep.dataset, str):  # its card is everywhere
        listing, listing_findings = listing_with_findings(sweep)
        data, wrong = (listing, validated.wrong) if isinstance(listing, Data) else (None, wrong)
    independent = [
        finding for finding in (*code_findings, *findings(sweep, data)) if not _depends_on_mistake(finding, wrong)
    ]
    _raise_mistakes([*mistakes, *(_mistake(tree, finding) for finding in (*listing_findings, *independent))])


def _validated(text: str, path: Path, overrides: Iterable[str]) -> tuple[Tree, Validated, list[Mistake]]:
    """Return the tree of a job's text with its overrides, the job validated, and the mistakes in both."""
    tree, mistakes = source.parse(text, str(path))
    mistakes += override(tree, overrides)
    validated = validate(tree)
    return tree, validated, mistakes + validated.mistakes


def _checked_data(
    sweep: PartlyResolvedSweep, listing: Data | Listing, expected: Data | None, tree: Tree, progress: Progress | None
) -> Data:
    """Return the data set of a job after a check of all its images, which takes long for a large folder.

    Raises:
        JobError: Images can't be used, or the job doesn't fit the images that the check has seen.
    """
    if isinstance(listing, Data):
        return listing
    data, image_findings = content_with_findings(listing, progress)
    if data is None or expected is None or data.shape != expected.shape:
        image_findings += findings(sweep, data)
    _raise_mistakes(_mistake(tree, finding) for finding in image_findings)
    assert data is not None, "images that can't be used are mistakes"
    return data


def _fetch(fetch: Fetch, sweep: PartlyResolvedSweep, data: Data, tree: Tree) -> bool:
    """Return the answer of `fetch`.

    Raises:
        JobError: A network can't be used; the mistake is at its name in the job.
    """
    try:
        return fetch(sweep, data)
    except NetworkError as error:
        finding = Finding((), str(error))
        for name, family in sweep.models.items():
            if error.network in family.arch:
                keys = keys_to_value(("models", name, "arch"), family.arch, family.arch.index(error.network))
                finding = Finding(keys, str(error))
        _raise_mistakes([_mistake(tree, finding)])
        raise


def _raise_mistakes(mistakes: Iterable[Mistake]) -> None:
    """Raise a JobError if there are mistakes, sorted by their places."""
    if distinct := dict.fromkeys(mistakes):
        raise JobError(sorted(distinct, key=lambda mistake: (mistake.line == 0, mistake.line, mistake.column)))


def override(tree: Tree, overrides: Iterable[str]) -> list[Mistake]:
    """Apply overrides to a job's tree and return their mistakes."""
    mistakes = []
    for text in overrides:
        try:
            _override(tree, text)
        except JobError as error:
            mistakes += error.mistakes
    return mistakes


def _override(tree: Tree, text: str) -> None:
    """Apply one override, such as `models.weak.width=4,8`, to a job's tree.

    Raises:
        JobError: The override is malformed, or the job has no such key.
    """
    path, equals, value = text.partition("=")
    keys = tuple(path.strip().split("."))
    place = Location(f"override '{text}'")
    if not equals or not all(keys):
        problem = "no value is given" if not equals else "no key is given" if not path.strip() else "a key is empty"
        raise JobError([place.mistake(problem, correction="write KEY=VALUE, such as models.weak.width=4,8")])
    holder = tree
    if path.strip().startswith("dataset."):  # the kinds of folders, and names, replace each other
        tree.value.pop("dataset", None)  # type: ignore[union-attr]
    for i, key in enumerate(keys[:-1]):
        holder = _step(holder, keys[: i + 1], key, place)
    new_value = source.parse_value(override_value.as_yaml(value), place.file)
    new_value.key = place
    if isinstance(holder.value, dict):
        holder.value[keys[-1]] = new_value
    elif isinstance(holder.value, list):
        _step(holder, keys, keys[-1], place)
        holder.value[int(keys[-1])] = new_value
    else:
        raise JobError([place.mistake("this is a single value, with no keys inside it", dotted(keys[:-1]))])


def _step(holder: Tree, keys: Keys, key: str, place: Location) -> Tree:
    """Return the child of a tree at the next key of an override.

    Raises:
        JobError: The job has no such key.
    """
    if child := holder.child(int(key) if isinstance(holder.value, list) and key.isdigit() else key):
        return child
    if isinstance(holder.value, dict) and keys in [(name,) for name in _OPTIONAL]:
        return holder.value.setdefault(key, Tree({}, place, place))
    if isinstance(holder.value, list):
        correction = f"a number from 0 to {len(holder.value) - 1} comes after {dotted(keys[:-1])}"
    else:
        available_keys = list(holder.value) if isinstance(holder.value, dict) else []
        available_keys += [name for name in _OPTIONAL if len(keys) == 1 and name not in available_keys]
        correction = did_you_mean(key, available_keys) or (
            f"there are {', '.join(available_keys)}" if available_keys else ""
        )
    raise JobError([place.mistake("the job has no such key", dotted(keys), correction)])


def _locate(sweep: Sweep, path: Path) -> tuple[Sweep, list[Finding]]:
    """Make a data set's folder absolute: it is relative to the job file, and may contain `~` and `${VARIABLES}`."""
    if isinstance(sweep.dataset, str):
        return sweep, []
    folders, missing = {}, []
    for kind, text in sweep.dataset.model_dump(exclude_none=True).items():
        try:
            folders[kind] = str(_locate_path(text, path.parent))
        except DataError as error:
            missing.append(Finding(("dataset", kind), str(error)))
    if missing:  # the other checks need a data set, so a small one replaces the missing one
        return sweep.model_copy(update={"dataset": "digits"}), missing
    return sweep.model_copy(update={"dataset": DatasetFolder(**folders)}), []


def _locate_path(text: str, folder: Path) -> Path:
    """Return the absolute path of a text in a job in a folder.

    Raises:
        DataError: The path can't be located, or it exists in the current folder instead.
    """
    located = resolve.locate(text, folder)
    if not located.exists() and Path(text).exists():
        suggestion = os.path.relpath(text, folder)
        raise DataError(f"there is no {located}; a path is relative to the job's file: did you mean {suggestion}?")
    return located


def _locate_weights(sweep: Sweep, path: Path) -> tuple[Sweep, list[Finding]]:
    """Make the paths of weights absolute: they are relative to the job file, and may contain `~` and `${VARIABLES}`."""
    models, missing = dict(sweep.models), []
    for name, family in sweep.models.items():
        try:
            names = [str(_locate_path(text, path.parent)) if is_file(text) else text for text in family.weights]
            models[name] = family.model_copy(update={"weights": tuple(names)})
        except DataError as error:
            missing.append(Finding(("models", name, "weights"), str(error)))
            models[name] = family.model_copy(update={"weights": (NONE,)})
    return sweep.model_copy(update={"models": models}), missing


def named_code(sweep: Sweep) -> tuple[list[str], list[str]]:
    """Return the user's networks and the user's stitchers that a job names by a file or a module."""
    archs = (arch for family in sweep.models.values() for arch in family.arch)
    networks = dict.fromkeys(arch for arch in archs if probed.is_user_code(arch))
    operations = dict.fromkeys(operation.name for section in sweep.stitch for operation in section.stitcher)
    return list(networks), [name for name in operations if ":" in name and name not in networks]


def _trusted(sweep: Sweep, path: Path) -> tuple[PartlyResolvedSweep, list[Finding]]:
    """Return a job that records all code that it names as trusted, and the mistakes in its networks' files.

    Files of code are relative to the job file. Those of networks are run, in processes of their own, to read the
    arguments of the networks.
    """
    networks, stitchers = named_code(sweep)
    stitcher_code = [
        code.hash_file(name, path.parent) if code.is_file_name(name) else code.hash_module(name) for name in stitchers
    ]
    network_code = [code.hash_network(name, path.parent) for name in networks]
    user_networks, problems = read_signatures(network_code, tuple(networks))
    update = {"code": (*network_code, *stitcher_code), "user_networks": user_networks}
    return PartlyResolvedSweep.of(sweep).model_copy(update=update), list(_unreadable_networks(sweep, problems))


def _unreadable_networks(sweep: Sweep, problems: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a mistake at each name of a network whose arguments can't be read."""
    for name, family in sweep.models.items():
        for i, arch in enumerate(family.arch):
            if arch in problems:
                yield Finding(keys_to_value(("models", name, "arch"), family.arch, i), problems[arch])


def _depends_on_mistake(finding: Finding, wrong: frozenset[Keys]) -> bool:
    """Return True if a finding depends on a value that is already reported as a mistake."""
    return any(keys[: len(prefix)] == prefix for prefix in wrong for keys in (finding.keys, *finding.needs))


def _mistake(tree: Tree, finding: Finding) -> Mistake:
    """Return the mistake of a finding, at the place of its key or value in the file."""
    node, keys = tree.walk(finding.keys)
    place = node.key if node.key and (finding.of_key or isinstance(node.value, dict)) else node.place
    return place.mistake(
        finding.problem, dotted(keys), finding.correction, finding.shift + (1 if finding.shift and node.quoted else 0)
    )
