"""The command `verify`, which checks every file of a store, repairs it, and finds what nothing needs."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError

from . import places, show

if TYPE_CHECKING:
    from sweeper.store.care.full_check import StoreCheck
    from sweeper.store.store import Store

SHOWN = 8  # damaged files, lost weights and models that are listed; --json has all


def one_store(argument: str | None, option: str | None) -> str | None:
    """Return the store that a command names, by its argument or by --store.

    Raises:
        UsageError: They name two stores.
    """
    if argument and option and argument != option:
        raise UsageError(f"two stores are named, {argument} and {option} (by --store or SWEEPER_STORE); name one")
    return argument or option


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What `verify` is to do."""

    store: str | None
    repair: bool
    gc: bool
    delete: bool
    json: bool


def verify_store(request: VerifyRequest) -> int:
    """Do what a request says, print the result, and return the exit code.

    Raises:
        UsageError: Its options don't fit together.
    """
    if request.delete and not request.gc:
        raise UsageError("--delete needs --gc, which lists what is deleted")
    if request.gc and request.repair:
        raise UsageError("--repair and --gc are two steps: first `--repair`, then `--gc`")
    url = request.store or places.only_store()
    if request.gc:
        return _print_unneeded(places.open_store(url), request)
    if request.repair:
        return _print_repair(_with_mark(url), request.json)
    return _print_check(places.open_store(url), request.json)


def _print_check(store: "Store", json: bool) -> int:
    """Check a store, print the result, and return the exit code: 0 if the store is sound, else 1."""
    from sweeper.store.care.full_check import check_all_files

    with show.progress() as progress:
        check = check_all_files(store, progress)
    if json:
        show.print_json({"store": store.url, "sound": check.sound, **_as_json(check)})
        return 0 if check.sound else 1
    lines = list(_lines(store.url, check))
    if not check.sound:
        place = shlex.quote(store.url)
        lines.append(f"`sweeper verify --repair {place}` moves damaged files away and says which tasks run again")
    show.write("\n".join([*lines, *_remarks(check)]))
    return 0 if check.sound else 1


def _with_mark(url: str) -> "Store":
    """Open a store; its mark is written again if it is missing or damaged."""
    from sweeper.store.mark import repair_mark
    from sweeper.store.parts.objects import open_objects

    if repair_mark(open_objects(url)):
        show.say(f"{url}: its mark sweeper.json was missing or damaged, and was written again")
    return places.open_store(url)


def _print_repair(store: "Store", json: bool) -> int:
    """Repair a store, and print what was moved and which tasks are missing now; the exit code is 0."""
    from sweeper.store.care.repair import repair_store

    with show.progress() as progress:
        check, moved = repair_store(store, progress)
    missing = _missing_tasks(store)
    if json:
        jobs = [{"job": job, "missing": counts, "command": command} for job, counts, command in missing]
        show.print_json({"store": store.url, "moved": [damage._asdict() for damage in moved], "jobs": jobs})
        return 0
    lines = [*_lines(store.url, check), f"moved {len(moved):,} damaged files to damaged/"]
    for job, counts, command in missing:
        lines.append(f"{job}: {_in_words(counts)} are missing now; `{command}` performs them")
    if not places.stored_jobs(store):
        lines.append(f"no job is stored: `sweeper run JOB --store {shlex.quote(store.url)}` performs what is missing")
    show.write("\n".join([*lines, *_remarks(check)]))
    return 0


def _missing_tasks(store: "Store") -> list[tuple[str, dict[str, int], str]]:
    """Return the numbers of missing tasks by kind of each job that lacks some, and the command that performs them."""
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    jobs, done, failed = places.stored_jobs(store), store.done(), frozenset(store.failed())
    found: list[tuple[str, dict[str, int], str]] = []
    for name, row in jobs.items():
        sweep = from_json(row.job_resolved)
        plan = Plan.of(sweep, done, failed)
        counts = {kind: count.tasks - count.done for kind, count in plan.counts().items() if count.tasks > count.done}
        options = [f"--job {shlex.quote(name)}"] if len(jobs) > 1 else []
        options += ["--trust"] if sweep.code else []
        if plan.missing:
            found.append((name, counts, " ".join(["sweeper resume --store", shlex.quote(store.url), *options])))
    return found


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


def _print_unneeded(store: "Store", request: VerifyRequest) -> int:
    """Print the files that nothing needs, and delete them if that is asked for; the exit code is 0."""
    from sweeper.store.care.unneeded import delete_unneeded, find_unneeded

    unneeded = delete_unneeded(store) if request.delete else find_unneeded(store)
    paths = [info.path for info in (*unneeded.weights, *unneeded.states)]
    if request.json:
        show.print_json({"store": store.url, "deleted": request.delete, "bytes": unneeded.bytes, "paths": paths})
        return 0
    counts = f"{len(unneeded.weights):,} files of weights and {len(unneeded.states):,} saved states"
    verb = "deleted" if request.delete else "nothing needs"
    lines = [f"{verb} {counts}, {show.format_bytes(unneeded.bytes)}", *_some(paths)]
    if paths and not request.delete:
        lines.append("nothing was deleted; --gc --delete deletes them")
    show.write("\n".join(lines))
    return 0


def _as_json(check: "StoreCheck") -> dict[str, Any]:
    """Return a check with each finding as an object with named fields."""
    findings = ("damaged", "lost_weights", "mixes", "repeats")
    return asdict(check) | {name: [finding._asdict() for finding in getattr(check, name)] for name in findings}


def _lines(url: str, check: "StoreCheck") -> Iterator[str]:
    """Yield the lines of the summary, at most about forty."""
    yield f"{url}: {'sound' if check.sound else 'NOT SOUND'}"
    yield f"  {check.parts:,} sound parts with {check.rows:,} rows, {show.format_bytes(check.part_bytes)}"
    yield f"  {check.weights:,} sound files of weights, {show.format_bytes(check.weight_bytes)}"
    yield f"  {check.others:,} sound saved states, kept versions, lease and progress objects"
    if check.damaged:
        yield f"damaged: {len(check.damaged):,} files"
        yield from _some([f"{path}: {reason}" for path, reason in check.damaged])
    if check.lost_weights:
        yield f"lost: the weights of {len(check.lost_weights):,} models, which are therefore missing, not done"
        yield from _some([f"model {model}: weights {digest}" for model, digest in check.lost_weights])


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
