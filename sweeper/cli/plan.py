"""`plan`: what a job asks for and what of it remains. Imports neither torch nor Ray."""

from collections.abc import Sequence

from . import cards, places, show


def plan(job: str, overrides: Sequence[str], store: str | None, json: bool, trust: bool = False) -> None:
    """Prints counts, what the store has, and what the rest costs; or which cuts must be learnt first."""
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan

    sweep, _ = places.load_job(job, overrides, trust)
    where = places.store_of(sweep, store)
    if unknown := cards.to_learn(sweep):
        if json:
            show.json({"name": sweep.name, "unknown_cuts": unknown, "store": where})
        else:
            lines = (
                f"the {cards.lacks(command)} of {name} are not known yet: `{command}` learns them, "
                "and so does `sweeper run`"
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
    """What a store has; nothing, where there is no store yet."""
    if not places.exists(store):
        return set()
    with places.opened(store) as found:
        return found.done()
