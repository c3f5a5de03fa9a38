"""The command `verify`, which checks every file of a store."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError

from . import places, show

if TYPE_CHECKING:
    from sweeper.store.care.full_check import StoreCheck

SHOWN = 8  # damaged files, lost weights and models that are listed; --json has all


def one_store(argument: str | None, option: str | None) -> str | None:
    """Return the store that a command names, by its argument or by --store.

    Raises:
        UsageError: They name two stores.
    """
    if argument and option and argument != option:
        raise UsageError(f"two stores are named, {argument} and {option} (by --store or SWEEPER_STORE); name one")
    return argument or option


def print_check(store: str | None, json: bool) -> int:
    """Check a store, print the result, and return the exit code: 0 if the store is sound, else 1."""
    from sweeper.store.care.full_check import check_all_files

    store_to_check = places.open_store(store or places.only_store())
    with show.progress() as progress:
        check = check_all_files(store_to_check, progress)
    if json:
        show.print_json({"store": store_to_check.url, "sound": check.sound, **_as_json(check)})
    else:
        show.write("\n".join(_lines(store_to_check.url, check)))
    return 0 if check.sound else 1


def _as_json(check: "StoreCheck") -> dict[str, Any]:
    """Return a check with each finding as an object with named fields."""
    findings = ("damaged", "lost_weights", "mixes", "repeats")
    return asdict(check) | {name: [finding._asdict() for finding in getattr(check, name)] for name in findings}


def _lines(url: str, check: "StoreCheck") -> Iterator[str]:
    """Yield the lines of the summary, at most about forty."""
    yield f"{url}: {'sound' if check.sound else 'NOT SOUND'}"
    yield f"  {check.parts:,} sound parts with {check.rows:,} rows, {show.format_bytes(check.part_bytes)}"
    yield f"  {check.weights:,} sound files of weights, {show.format_bytes(check.weight_bytes)}"
    yield f"  {check.others:,} sound saved states, lease and progress objects"
    if check.damaged:
        yield f"damaged: {len(check.damaged):,} files"
        yield from _some([f"{path}: {reason}" for path, reason in check.damaged])
    if check.lost_weights:
        yield f"lost: the weights of {len(check.lost_weights):,} models, which are therefore missing, not done"
        yield from _some([f"model {model}: weights {digest}" for model, digest in check.lost_weights])
    if not check.sound:
        yield f"`sweeper resume --store {shlex.quote(url)}` moves damaged files away and performs their tasks again"
    yield from _remarks(check)


def _remarks(check: "StoreCheck") -> Iterator[str]:
    """Yield the lines on what is not damage."""
    if check.mixes:
        yield f"worth knowing: {len(check.mixes):,} models have several weights (stitches with others are `mixed`)"
        yield from _some(
            [
                f"model {model}: {versions} weights, {others} results used others"
                for model, versions, others in check.mixes
            ]
        )
    for kind, tasks, example in check.repeats:
        yield f"worth knowing: {tasks:,} tasks have several rows in {kind} with different results, such as {example}"
    if check.foreign:
        yield f"worth knowing: {len(check.foreign):,} files are not Sweeper's, such as {check.foreign[0]}"
    if check.set_aside:
        yield f"worth knowing: {check.set_aside:,} damaged files lie in damaged/, where earlier runs moved them"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  and {len(lines) - SHOWN:,} more: --json lists all"
