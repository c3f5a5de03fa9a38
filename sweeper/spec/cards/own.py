"""Stitchers that users write: each is a card in a file, in a module or in an installed distribution.

A job names one as `path/to/file.py:CARD`, `package.module:CARD`, or by the name of an entry point of the group
`sweeper.stitchers`. Rows name it by its card's name and version: `wide@3f2a9c1b` contains the digest of its file,
`wide@their-stitchers-1.2.0` the distribution.

A card contains functions, and calling them runs the user's code. Only the resolution of a job calls them. The resolved
job carries the card's answers for each pair of shapes (`UserStitcher`), so planning never needs the user's code.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sweeper.errors import DataError, SweeperError, UsageError
from sweeper.spec import code, imported
from sweeper.spec.ident import digest
from sweeper.spec.task import Options, Recipe

from .card import Option, OptionValues, Shape, StitcherCard
from .places import Part
from .shapes import show
from .stitchers import STITCHERS

GROUP = "sweeper.stitchers"
_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Setting:
    """An option of a card, as far as a plan needs it."""

    name: str
    type: str
    default: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Join:
    """What a card said of two shapes under some settings."""

    bottom: Shape
    top: Shape
    options: Options
    misfit: str
    parameters: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class UserStitcher:
    """A stitcher of a user's own, as a resolved job carries it."""

    name: str  # as the job names it
    card: str  # as recipes and rows call it
    source: str  # what enters ids: the digest of its file and the name in it, or its distribution, version, entry point
    where: str  # what imports it, on every machine; in no id
    trains: bool
    fits: bool  # `solved_from_data` of the card; resolved jobs store it under this name
    whole: bool  # `replaces_top` of the card; resolved jobs store it under this name
    options: tuple[Setting, ...]
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True, slots=True)
class _CardSource:
    """Where a card is, before its code runs."""

    source: str
    version: str
    card: Callable[[], object]  # runs the code


def stitcher(where: str) -> StitcherCard:
    """The card of a stitcher. Imports what is named, once a process. A file's path is relative to the current folder;
    its card names a builder in the same file as `f"{__name__}:function"`.

    Raises UsageError where nothing of the name can be imported, or it is no card.
    """
    return _card(where, _find(where))


def user_stitcher(name: str, where: str) -> tuple[UserStitcher, StitcherCard]:
    """What a resolved job carries of a stitcher that it calls `name`, but for its joins, and its card.

    Raises UsageError as `stitcher` does, and for a card whose name can't be had.
    """
    found = _find(where)
    card = _card(where, found)
    if card.name in STITCHERS:
        raise UsageError(f"{where}: '{card.name}' is one of Sweeper's own stitchers; the card needs another name")
    if not _NAME.fullmatch(card.name):
        raise UsageError(f"{where}: '{card.name}' is not a name; letters, digits, '_', '.' and '-' make one")
    if ":" not in where and card.name != where:
        raise UsageError(f"the entry point '{where}' holds a card named '{card.name}'; both need one name")
    if odd := [key for key, option in card.options.items() if option.type not in _TYPES.values()]:
        raise UsageError(f"{where}: the type of option '{odd[0]}' is none of {', '.join(_TYPES)}")
    options = tuple(Setting(key, option.type.__name__, option.default) for key, option in card.options.items())
    title = f"{card.name}@{found.version}"
    flags = card.trains, card.solved_from_data, card.replaces_top
    return UserStitcher(name, title, found.source, where, *flags, options), card


def entry(name: str) -> bool:
    """Whether an installed distribution declares a stitcher of this name."""
    return bool(_entries(name))


def declarers(name: str) -> str:
    """The distributions that do."""
    return " and ".join(sorted(each.dist.name for each in _entries(name) if each.dist))


def declared() -> list[str]:
    """The names of all that installed distributions declare."""
    return sorted({each.name for each in _entries()})


def join(own: UserStitcher, card: StitcherCard, bottom: Shape, top: Shape, options: Options) -> Join:
    """What a card says of two shapes. Raises UsageError where it fails, or answers what it mustn't."""
    asked, what = (bottom, top, dict(options)), f"{own.name} between {show(bottom)} and {show(top)}"
    try:
        reason = card.misfit(*asked)
        fits = (card.parameters(*asked), tuple(Part(*part) for part in card.parts(*asked))) if reason == "" else (0, ())
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"{what} raises {type(error).__name__}: {error}") from error
    if not isinstance(reason, str):
        raise UsageError(f'{what}: its misfit gives {reason!r}; a reason is needed, or "" where there is none')
    if type(fits[0]) is not int:
        raise UsageError(f"{what}: its parameters are {fits[0]!r}; a whole number is needed")
    return Join(bottom, top, options, reason, *fits)


_joins: dict[str, dict[tuple[Shape, Shape, Options], Join]] = {}
_registered_cards: dict[str, StitcherCard] = {}


def register_card(own: UserStitcher) -> None:
    """Makes a stitcher known in this process by what a resolved job says of it. What several jobs say of one agrees."""
    joins = _joins.setdefault(own.card, {})
    joins |= {(join.bottom, join.top, join.options): join for join in own.joins}

    def said(bottom: Shape, top: Shape, options: OptionValues) -> Join:
        found = joins.get((tuple(bottom), tuple(top), tuple(sorted(options.items()))))
        if found is None:
            raise SweeperError(f"the job doesn't say whether {own.card} joins {show(bottom)} and {show(top)}")
        return found

    _registered_cards[own.card] = StitcherCard(
        name=own.card,
        meaning="",
        builder="",
        options={each.name: Option(_TYPES[each.type], each.default, "") for each in own.options},
        trains=own.trains,
        misfit=lambda *asked: said(*asked).misfit,
        parameters=lambda *asked: said(*asked).parameters,
        parts=lambda *asked: said(*asked).parts,
        solved_from_data=own.fits,
        replaces_top=own.whole,
    )


def card(name: str) -> StitcherCard:
    """The card of a recipe's stitcher: Sweeper's own, or what was learnt of a user's, which has no builder.

    Raises SweeperError for another name.
    """
    found = STITCHERS.get(name) or _registered_cards.get(name)
    if found is None:
        raise SweeperError(f"no stitcher '{name}'; known are {', '.join(STITCHERS)}")
    return found


def card_with_builder(recipe: Recipe) -> StitcherCard:
    """The card that a worker builds from: of a user's stitcher, the code itself. Raises UsageError where that is
    another than was planned, or isn't here."""
    return _card(recipe.where, _planned(recipe)) if recipe.source else STITCHERS[recipe.stitcher]


def verify_code(recipe: Recipe) -> None:
    """Raises UsageError where the code of a recipe's stitcher isn't what was planned; runs none of it."""
    if recipe.source:
        _planned(recipe)


def _planned(recipe: Recipe) -> _CardSource:
    found = _find(recipe.where)
    if found.source != recipe.source:
        raise UsageError(
            f"{recipe.stitcher}: {recipe.where} changed since its job was planned: `sweeper run JOB` takes it as it is"
        )
    return found


def _find(where: str) -> _CardSource:
    path, _, attribute = where.rpartition(":")
    if code.by_path(where):
        return _in_file(Path(path), attribute)
    return _in_module(where) if path else _in_distribution(where)


def _in_file(path: Path, attribute: str) -> _CardSource:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"no file {path}: {error.strerror}") from None
    known = digest(content)
    return _CardSource(f"{known}:{attribute}", known[:8], partial(imported.of_file, path, content, attribute))


def _in_module(name: str) -> _CardSource:
    try:
        known = code.of(name).digest
    except DataError as error:
        raise UsageError(str(error)) from None
    if not known:
        raise UsageError(f"no module '{name.partition(':')[0]}' in the current folder or on PYTHONPATH")
    return _CardSource(f"{known}:{name.rpartition(':')[2]}", known[:8], partial(_module, name, known))


_of_modules: dict[str, str] = {}  # digests of the files of modules when they were imported


def _module(name: str, known: str) -> object:
    """Imports a module, unless this process has an older version of it: Python doesn't run a module twice."""
    module = name.partition(":")[0]
    if _of_modules.get(module, known) != known:
        raise UsageError(f"{module} changed since this process imported it; a new process takes it as it is")
    found = imported.of_module(name)
    _of_modules[module] = known
    return found


def _in_distribution(name: str) -> _CardSource:
    found = _entries(name)
    if not found:
        raise UsageError(f"no installed distribution declares a stitcher '{name}' ({GROUP})")
    if len(found) > 1:
        raise UsageError(f"{declarers(name)} both declare a stitcher '{name}'; one of them must go")
    (only,) = found
    dist = only.dist
    assert dist is not None
    return _CardSource(f"{dist.name} {dist.version}:{name}", f"{dist.name}-{dist.version}", only.load)


def _entries(name: str | None = None) -> list[EntryPoint]:
    return list(entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name))


def _card(where: str, found: _CardSource) -> StitcherCard:
    try:
        made = found.card()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise UsageError(f"no stitcher {where!r}: {type(error).__name__}: {error}") from error
    if not isinstance(made, StitcherCard):
        raise UsageError(f"{where} is a {type(made).__name__}; a StitcherCard is needed")
    return made
