"""Stitchers that users write: each is a card in a file, in a module or in an installed distribution.

A job names one as `path/to/file.py:CARD`, `package.module:CARD`, or by the name of an entry point of the group
`sweeper.stitchers`. Rows name it by its card's name and version: `wide@3f2a9c1b` contains the digest of its file,
`wide@their-stitchers-1.2.0` the distribution.

A card contains functions, and calling them runs the user's code. Only the resolution of a job calls them. The resolved
job carries the card's answers for each pair of shapes (`UserStitcher`), so planning never needs the user's code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sweeper.errors import DataError, SweeperError, UsageError
from sweeper.spec.cards.card import Option, OptionValues, Shape, StitcherCard
from sweeper.spec.cards.places import Part
from sweeper.spec.cards.shapes import format_shape
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import Options, Recipe
from sweeper.spec.user_code import code, imported

GROUP = "sweeper.stitchers"
_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Setting:
    """An option of a card: the fields that planning needs."""

    name: str
    type: str
    default: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Join:
    """A card's answers for one pair of shapes under one setting of its options."""

    bottom: Shape
    top: Shape
    options: Options
    misfit: str
    parameters: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class UserStitcher:
    """A stitcher that a user wrote, as a resolved job stores it."""

    name: str  # in the job
    card: str  # the name in recipes and rows: the card's name and its version
    source: str  # enters ids: the digest of its file and the name in it, or its distribution, version, entry point
    where: str  # its path or module, from which every machine imports it; enters no id
    trains: bool
    fits: bool  # `solved_from_data` of the card; resolved jobs store it under this name
    whole: bool  # `replaces_top` of the card; resolved jobs store it under this name
    options: tuple[Setting, ...]
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True, slots=True)
class _CardSource:
    """The file or distribution that holds a card, identified before its code runs."""

    source: str
    version: str
    card: Callable[[], object]  # runs the code


def import_card(import_path: str) -> StitcherCard:
    """Import the card of a user's stitcher (once a process).

    Args:
        import_path: `path/to/file.py:CARD` (relative to the current folder), `package.module:CARD`, or the name of an
            entry point. A card in a file names a builder in the same file as `f"{__name__}:function"`.

    Raises:
        UsageError: If nothing can be imported from this path, or if it is not a card.
    """
    return _card(import_path, _locate(import_path))


def user_stitcher(name: str, import_path: str) -> tuple[UserStitcher, StitcherCard]:
    """Return a user's stitcher as a resolved job stores it (its joins still empty), and its card.

    Args:
        name: The name of the stitcher in the job.
        import_path: The `path/to/file.py:CARD`, `package.module:CARD` or name of an entry point that holds its card.

    Raises:
        UsageError: If the card can't be imported, or if its name is taken or not allowed.
    """
    card_source = _locate(import_path)
    card = _card(import_path, card_source)
    if card.name in STITCHERS:
        raise UsageError(f"{import_path}: '{card.name}' is a built-in stitcher; the card needs another name")
    if not _NAME.fullmatch(card.name):
        raise UsageError(f"{import_path}: '{card.name}' is not an allowed name: use letters, digits, '_', '.' and '-'")
    if ":" not in import_path and card.name != import_path:
        raise UsageError(
            f"the entry point '{import_path}' holds a card named '{card.name}'; the two names must be equal"
        )
    if untyped := [key for key, option in card.options.items() if option.type not in _TYPES.values()]:
        raise UsageError(f"{import_path}: the type of option '{untyped[0]}' is none of {', '.join(_TYPES)}")
    options = tuple(Setting(key, option.type.__name__, option.default) for key, option in card.options.items())
    title = f"{card.name}@{card_source.version}"
    flags = card.trains, card.solved_from_data, card.replaces_top
    return UserStitcher(name, title, card_source.source, import_path, *flags, options), card


def is_declared(name: str) -> bool:
    """Return True if an installed distribution declares a stitcher of this name."""
    return bool(_entries(name))


def declaring_distributions(name: str) -> str:
    """Return the names of the distributions that declare a stitcher of this name."""
    return " and ".join(sorted(entry_point.dist.name for entry_point in _entries(name) if entry_point.dist))


def declared_names() -> list[str]:
    """List the names of all stitchers that installed distributions declare."""
    return sorted({entry_point.name for entry_point in _entries()})


def join(stitcher: UserStitcher, card: StitcherCard, bottom_shape: Shape, top_shape: Shape, options: Options) -> Join:
    """Call the functions of a card for two shapes and return its answers.

    Raises:
        UsageError: If a function raises, or returns a value of the wrong type.
    """
    arguments = (bottom_shape, top_shape, dict(options))
    join_text = f"{stitcher.name} between {format_shape(bottom_shape)} and {format_shape(top_shape)}"
    parameters, parts = 0, ()
    try:
        reason = card.misfit(*arguments)
        is_affine, is_placewise = card.affine(dict(options)), card.placewise(dict(options))
        if reason == "":
            parameters = card.parameters(*arguments)
            parts = tuple(Part(*part) for part in card.parts(*arguments))
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"{join_text} raises {type(error).__name__}: {error}") from error
    for name, value in (("affine", is_affine), ("placewise", is_placewise)):
        if not isinstance(value, bool):
            raise UsageError(f"{join_text}: its {name} gives {value!r}; True or False is needed")
    if not isinstance(reason, str):
        raise UsageError(f'{join_text}: its misfit gives {reason!r}; a reason is needed, or "" where there is none')
    if type(parameters) is not int:
        raise UsageError(f"{join_text}: its parameters are {parameters!r}; a whole number is needed")
    return Join(bottom_shape, top_shape, options, reason, parameters, parts)


def recorded_card(stitchers: Sequence[UserStitcher]) -> StitcherCard:
    """Return the card of a user's stitcher made from the answers that a resolved job stores; it has no builder.

    Args:
        stitchers: One stitcher under each of the names that a job gives it. Their answers for the same shapes agree.
    """
    stitcher = stitchers[0]
    joins = {(join.bottom, join.top, join.options): join for named in stitchers for join in named.joins}

    def recorded(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Join:
        answers = joins.get((tuple(bottom_shape), tuple(top_shape), tuple(sorted(options.items()))))
        if answers is None:
            shapes = f"{format_shape(bottom_shape)} and {format_shape(top_shape)}"
            raise SweeperError(f"the resolved job doesn't record whether stitcher {stitcher.card} can join {shapes}")
        return answers

    return StitcherCard(
        name=stitcher.card,
        meaning="",
        builder="",
        options={setting.name: Option(_TYPES[setting.type], setting.default, "") for setting in stitcher.options},
        trains=stitcher.trains,
        misfit=lambda *arguments: recorded(*arguments).misfit,
        parameters=lambda *arguments: recorded(*arguments).parameters,
        parts=lambda *arguments: recorded(*arguments).parts,
        solved_from_data=stitcher.fits,
        replaces_top=stitcher.whole,
    )


def card_with_builder(recipe: Recipe) -> StitcherCard:
    """Return the card from which a worker builds a stitcher; imports the code of a user's stitcher.

    Raises:
        UsageError: If the user's code is missing, or changed since the job was planned.
    """
    return _card(recipe.where, _planned(recipe)) if recipe.source else STITCHERS[recipe.stitcher]


def verify_stitcher_code(recipe: Recipe) -> None:
    """Compare the code of a recipe's stitcher with what was planned, without running it.

    Raises:
        UsageError: If the code is missing or changed.
    """
    if recipe.source:
        _planned(recipe)


def _planned(recipe: Recipe) -> _CardSource:
    card_source = _locate(recipe.where)
    if card_source.source != recipe.source:
        raise UsageError(
            f"{recipe.stitcher}: {recipe.where} changed since its job was planned: `sweeper run JOB` takes it as it is"
        )
    return card_source


def _locate(import_path: str) -> _CardSource:
    path, _, attribute = import_path.rpartition(":")
    if code.is_file_name(import_path):
        return _in_file(Path(path), attribute)
    return _in_module(import_path) if path else _in_distribution(import_path)


def _in_file(path: Path, attribute: str) -> _CardSource:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"no file {path}: {error.strerror}") from None
    content_digest = digest(content)
    return _CardSource(
        f"{content_digest}:{attribute}",
        content_digest[:8],
        partial(imported.import_from_file, path, content, attribute),
    )


def _in_module(name: str) -> _CardSource:
    try:
        content_digest = code.hash_module(name).digest
    except DataError as error:
        raise UsageError(str(error)) from None
    if not content_digest:
        raise UsageError(f"no module '{name.partition(':')[0]}' in the current folder or on PYTHONPATH")
    return _CardSource(
        f"{content_digest}:{name.rpartition(':')[2]}", content_digest[:8], partial(_module, name, content_digest)
    )


_imported_digests: dict[str, str] = {}  # digests of the files of modules when they were imported


def _module(name: str, file_digest: str) -> object:
    """Import a module.

    Raises:
        UsageError: If this process imported an older version of it: Python doesn't run a module twice.
    """
    module = name.partition(":")[0]
    if _imported_digests.get(module, file_digest) != file_digest:
        raise UsageError(f"{module} changed since this process imported it; a new process takes it as it is")
    card = imported.import_from_module(name)
    _imported_digests[module] = file_digest
    return card


def _in_distribution(name: str) -> _CardSource:
    entry_points_of_name = _entries(name)
    if not entry_points_of_name:
        raise UsageError(f"no installed distribution declares a stitcher '{name}' ({GROUP})")
    if len(entry_points_of_name) > 1:
        raise UsageError(f"{declaring_distributions(name)} both declare a stitcher '{name}'; one of them must go")
    (entry_point,) = entry_points_of_name
    dist = entry_point.dist
    assert dist is not None
    return _CardSource(f"{dist.name} {dist.version}:{name}", f"{dist.name}-{dist.version}", entry_point.load)


def _entries(name: str | None = None) -> list[EntryPoint]:
    return list(entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name))


def _card(import_path: str, card_source: _CardSource) -> StitcherCard:
    try:
        card = card_source.card()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise UsageError(f"no stitcher {import_path!r}: {type(error).__name__}: {error}") from error
    if not isinstance(card, StitcherCard):
        raise UsageError(f"{import_path} is a {type(card).__name__}; a StitcherCard is needed")
    return card
