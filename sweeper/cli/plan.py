"""The command `plan`, which shows the tasks and the cost of a job. Imports neither torch nor Ray."""

from collections.abc import Sequence

from . import cards, places, show


def print_plan(job: str, overrides: Sequence[str], store: str | None, json: bool, trust: bool = False) -> None:
    """Print the tasks of a job and their cost.

    If the cuts or weights of an external network are not known yet, print the commands that find them instead.
    """
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan

    sweep, _ = places.load_job(job, overrides, trust)
    store_url = places.store_of(sweep, store)
    if unknown := cards.missing_commands(sweep):
        if json:
            show.print_json({"name": sweep.name, "unknown_cuts": unknown, "store": store_url})
        else:
            lines = (
                f"the {cards.kind_fetched_by(command)} of {name} are not known yet; `{command}` finds them, "
                "and `sweeper run` runs this command automatically"
                for name, command in unknown.items()
            )
            show.write("\n".join(lines))
        return
    job_plan = Plan.of(sweep, _done(store_url))
    if json:
        show.print_json(explain.summary(job_plan) | {"store": store_url})
    else:
        show.write(f"{explain.summary_text(job_plan)}\nstore: {store_url}")


def _done(store: str) -> set[str]:
    """Return the ids of the tasks done in a store; none if the store does not exist yet."""
    if not places.exists(store):
        return set()
    with places.opened(store) as opened_store:
        return opened_store.done()
