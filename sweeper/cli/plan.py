"""`plan`: what a job asks for and what of it remains. Imports neither torch nor Ray."""

from collections.abc import Sequence

from . import places, show


def plan(job: str, overrides: Sequence[str], store: str | None, json: bool) -> None:
    """Prints counts, what the store has, and what the rest costs."""
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan

    sweep, _ = places.load_job(job, overrides)
    where = places.store_of(sweep, store)
    planned = Plan.of(sweep, _done(where))
    if json:
        show.json(explain.explain(planned) | {"store": where})
    else:
        show.data(f"{explain.text(planned)}\nstore: {where}")


def _done(store: str) -> set[str]:
    """What a store has; nothing, where there is no store yet."""
    if not places.exists(store):
        return set()
    with places.opened(store) as found:
        return found.done()
