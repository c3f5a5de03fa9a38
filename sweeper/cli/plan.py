"""The command `plan`, which shows the tasks and the cost of a job. Imports neither torch nor Ray."""

from collections.abc import Sequence

from . import cards, places, show


def plan(job: str, overrides: Sequence[str], store: str | None, json: bool, trust: bool = False) -> None:
    """Print the tasks of a job and their cost, or the commands that must probe its external networks first."""
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan

    sweep, _ = places.load_job(job, overrides, trust)
    where = places.store_of(sweep, store)
    if unknown := cards.to_learn(sweep):
        if json:
            show.json({"name": sweep.name, "unknown_cuts": unknown, "store": where})
        else:
            lines = (
                f"the {cards.lacks(command)} of {name} are not known yet; `{command}` finds them, "
                "and `sweeper run` does so by itself"
                for name, command in unknown.items()
            )
            show.data("\n".join(lines))
        return
    planned = Plan.of(sweep, _done(where))
    if json:
        show.json(explain.explain(planned) | {"store": where})
    else:
        show.data(f"{explain.text(planned)}\nstore: {where}")


def _done(store: str) -> set[str]:
    """Return the ids of the tasks done in a store; none if the store does not exist yet."""
    if not places.exists(store):
        return set()
    with places.opened(store) as found:
        return found.done()
