"""The missing packs of a plan that take long: those over their time limit, and those that have a longer limit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sweeper.spec.records.task import TrainPack

from .duration import duration
from .pack import PackRows
from .plan import Plan
from .time_limit import LEAST_SECONDS, TimeLimit, declared_gpus, time_limit, worker_seconds

NAMED = 10  # of the packs that are over their limit, in text


class LongPack(NamedTuple):
    """A pack whose time limit matters. Its seconds are estimated, on a worker of the job."""

    kind: str  # "models" or "stitches"; measurements are in packs of stitches
    tasks: tuple[str, ...]
    seconds: float
    limit: TimeLimit

    def __str__(self) -> str:
        first, *others = self.tasks
        return f"{self.kind} {first}" + (f" and {len(others)} more in its pack" if others else "")

    def as_json(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return {"kind": self.kind, "tasks": self.tasks, "seconds": self.seconds, "limit": self.limit.seconds}


def long_packs(plan: Plan, trainings: Sequence[TrainPack], stitch_packs: Sequence[PackRows]) -> list[LongPack]:
    """Return the packs that are over their limit or have more than the least limit, longest first."""
    engine = plan.sweep.engine
    gpus = declared_gpus(engine)

    def limited(core_seconds: float) -> tuple[float, TimeLimit] | None:
        seconds, limit = worker_seconds(core_seconds, gpus), time_limit(core_seconds, engine.timeout, gpus)
        is_long = seconds > limit.seconds or (engine.timeout == "auto" and limit.seconds > LEAST_SECONDS)
        return (seconds, limit) if is_long else None

    packs = [LongPack("models", pack.tasks, *found) for pack in trainings if (found := limited(pack.seconds))]
    packs += [
        LongPack("stitches", plan.row_ids(pack.numbers.tolist()), *found)
        for pack in stitch_packs
        if (found := limited(pack.seconds))
    ]
    return sorted(packs, key=lambda pack: -pack.seconds)


def summary_of_long(packs: Sequence[LongPack], plan: Plan) -> dict[str, Any]:
    """Return what a plan says about long packs, as values that JSON can hold."""
    over = [pack for pack in packs if pack.seconds > pack.limit.seconds]
    return {
        "timeout": plan.sweep.engine.timeout,
        "long_packs": len(packs),
        "longest_pack": packs[0].as_json() | {"text": str(packs[0])} if packs else None,
        "over_time_limit": [pack.as_json() | {"text": str(pack)} for pack in over],
        "estimated_on": "one core" if not declared_gpus(plan.sweep.engine) else "the declared GPUs",
    }


def lines_on_long(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of text on long packs, from their summary."""
    over = numbers["over_time_limit"]
    if over:
        yield (
            f"time limit: {len(over)} packs are estimated to take longer than engine.timeout "
            f"({numbers['timeout']:g} s) on {numbers['estimated_on']}, and would be stopped; set "
            f"engine.timeout: auto, or at least {2 * over[0]['seconds']:.0f}"
        )
        yield from (f"  {pack['text']}: {duration(pack['seconds'])}" for pack in over[:NAMED])
        if len(over) > NAMED:
            yield f"  and {len(over) - NAMED} more, which --json lists"
    elif numbers["long_packs"]:
        longest = numbers["longest_pack"]
        yield (
            f"time limits: {LEAST_SECONDS:g} s, and more for {numbers['long_packs']} long packs; the longest is "
            f"estimated at {duration(longest['seconds'])} on {numbers['estimated_on']} and has "
            f"{duration(longest['limit'])} ({longest['text']})"
        )
