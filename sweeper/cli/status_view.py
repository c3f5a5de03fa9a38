"""The text of the command `status`: a page about all jobs of a store, or one line for each."""

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sweeper.engine.progress import format_rate, left_text
from sweeper.plan.duration import duration

from .causes import cause_lines, command_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Group, RenderableType

    from sweeper.store.driver_watch import SeenDriver
    from sweeper.store.progress import NodeProgress, Progress

    from .status import JobStatus, NewStitch

NODES_SHOWN = 12
CLOCK_DIFFERENCE = 60.0  # seconds from which the difference of two clocks is shown
OLD_SECONDS = 60.0  # a driver publishes its progress every five seconds


def page(url: str, jobs: "Sequence[JobStatus]", driver: "SeenDriver | None") -> "Group":
    """Return what `status` shows.

    Args:
        url: The store.
        jobs: Its jobs.
        driver: The holder of its lease, if any.
    """
    from rich.console import Group

    blocks: list[RenderableType] = [f"store: {url}\ndriver: {_driver_text(driver)}"]
    for job in jobs:
        blocks += _job_blocks(job, f"--store {shlex.quote(url)}")
    return Group(*blocks, *([] if jobs else ["no run yet"]))


def log_line(job: "JobStatus") -> str:
    """Return the status of a job as one line for a log."""
    total = _tasks(job)
    parts = [f"{job.done:,}/{total:,} tasks ({100 * job.done / total if total else 100:.0f}%)", job.outcome]
    if progress := job.progress:
        nodes = sum(bool(node.running) for node in progress.nodes)
        parts += [f"{progress.running} packs running on {nodes} node{'s' * (nodes != 1)}, {progress.queued} queued"]
        parts += [progress.waiting] if progress.waiting else []
        parts += [format_rate(progress.rate)] if progress.rate else []
    if job.left is not None:
        parts.append(f"{_left_text(job)} left")
    parts += [f"{job.failed:,} failed ({_failures_text(job)})"] if job.failed else []
    parts += [f"{job.blocked:,} blocked"] if job.blocked else []
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {job.job}: {', '.join(parts)}"


def _job_blocks(job: "JobStatus", store_option: str) -> "Iterator[RenderableType]":
    from rich.text import Text

    numbers = f"{job.done}/{_tasks(job)} tasks done, {job.missing} missing, {job.failed} failed, {job.blocked} blocked"
    kinds = ", ".join(f"{kind} {count['done']}/{count['tasks']}" for kind, count in job.tasks.items())
    left = "" if job.left is None else f", about {_left_text(job)} left"
    yield f"\n{job.job}\n  {numbers}\n  {kinds}\n  run {job.run}: {job.outcome}, {duration(job.seconds)}{left}"
    for line in cause_lines(job.causes):
        yield Text(f"  {line}", no_wrap=True, overflow="ellipsis")
    for line in command_lines(job.causes, store_option):
        yield f"  {line}"
    if job.progress:
        yield from _progress_blocks(job.progress)
    if job.newest:
        yield ""
        yield _newest_table(job.newest)


def _progress_blocks(progress: "Progress") -> "Iterator[RenderableType]":
    age = (datetime.now(UTC) - datetime.fromisoformat(progress.at)).total_seconds()
    said = f" (as of {duration(age)} ago)" if age > OLD_SECONDS else ""
    rate = f"; {format_rate(progress.rate)}" if progress.rate else ""
    starting = f", {progress.starting} on workers that are being set up" if progress.starting else ""
    yield f"  packs: {progress.running} running{starting}, {progress.queued} queued{rate}{said}"
    if progress.waiting:
        yield f"  {progress.waiting}"
    if progress.nodes:
        yield ""
        yield _node_table(progress.nodes)


def _node_table(nodes: "Sequence[NodeProgress]") -> "RenderableType":
    shown = sorted(nodes, key=lambda node: -node.running)[:NODES_SHOWN]
    rows = [
        (
            node.name,
            str(node.places),
            str(node.running),
            "" if node.used is None else f"{100 * node.used:.0f} %",
            duration(node.longest) if node.running or node.starting else "",
        )
        for node in shown
    ]
    if len(nodes) > len(shown):
        rows.append((f"{len(nodes) - len(shown)} more nodes", "", "", "", ""))
    return _table(("node", "workers", "running", "in use, last 5 min", "longest pack"), rows, right=(1, 2, 3, 4))


def _newest_table(stitches: "Iterable[NewStitch]") -> "RenderableType":
    rows = [
        (
            f"{stitch.at.astimezone(UTC):%H:%M:%S}",
            stitch.bottom,
            stitch.top,
            stitch.cut,
            stitch.stitcher,
            f"{stitch.error:.1f} %",
            f"{stitch.top_error:.1f} %",
        )
        for stitch in stitches
    ]
    headers = ("newest (UTC)", "bottom", "top", "cut", "stitcher", "error", "top's own")
    return _table(headers, rows, right=(5, 6))


def _table(headers: "Sequence[str]", rows: "Iterable[Sequence[str]]", right: "Sequence[int]") -> "RenderableType":
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2), expand=False)


def _tasks(job: "JobStatus") -> int:
    return sum(count["tasks"] for count in job.tasks.values())


def _left_text(job: "JobStatus") -> str:
    assert job.left is not None
    return left_text(job.left, job.progress.left_range if job.progress else None)


def _failures_text(job: "JobStatus") -> str:
    return ", ".join(f"{error} {count:,}" for error, count in job.failures.items())


def _driver_text(driver: "SeenDriver | None") -> str:
    """Return who drives the store, since when, and how old its last heartbeat is, as far as that is known."""
    if driver is None:
        return "none"
    if driver.age is None:
        age = (
            f"at {driver.holder.last_heartbeat} by its clock (this machine's clock differs; --watch counts the seconds)"
        )
    else:
        age = f"{duration(driver.age)} ago"
    text = f"{driver.holder}, last heartbeat {age}"
    if abs(driver.clock_ahead) > CLOCK_DIFFERENCE:
        place = "ahead of" if driver.clock_ahead > 0 else "behind"
        text += f"; its clock is {duration(abs(driver.clock_ahead))} {place} the store's"
    if driver.is_silent:
        text += (
            f"; it seems to be dead: `sweeper resume --wait` takes over after {driver.holder.silence:g} s without a "
            "heartbeat, --take-over at once"
        )
    return text
