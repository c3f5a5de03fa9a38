"""Checks of a stitcher's name: a missing card, code that isn't trusted, code that holds no card."""

from sweeper.errors import UsageError, did_you_mean
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import StitcherCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.job import joins
from sweeper.spec.job.checks.finding import Finding, Keys
from sweeper.spec.job.sweep import PartlyResolvedSweep
from sweeper.spec.user_code import code


def find_card(name: str, sweep: PartlyResolvedSweep, catalog: Catalog) -> StitcherCard | None:
    """Return the card of a stitcher that a job names; None if there is none or its code is not trusted."""
    card = _card_or_finding((), name, sweep, catalog)
    return card if isinstance(card, StitcherCard) else None


def name_finding(keys: Keys, name: str, sweep: PartlyResolvedSweep, catalog: Catalog) -> Finding | None:
    """Return the mistake in a stitcher's name; None if there is none."""
    finding = _card_or_finding(keys, name, sweep, catalog)
    return finding if isinstance(finding, Finding) else None


def _card_or_finding(keys: Keys, name: str, sweep: PartlyResolvedSweep, catalog: Catalog) -> StitcherCard | Finding:
    if name in STITCHERS:
        return STITCHERS[name] if not user_stitchers.is_declared(name) else _name_conflict(keys, name)
    if resolved := next((stitcher for stitcher in sweep.stitchers if stitcher.name == name), None):
        return catalog.stitcher(resolved.card)
    import_path = joins.importable_stitchers(sweep).get(name)
    if import_path is None:
        return _unknown_name(keys, name)
    try:
        return user_stitchers.user_stitcher(name, import_path)[1]
    except UsageError as error:
        return Finding(keys, str(error))


def _name_conflict(keys: Keys, name: str) -> Finding:
    distributions = user_stitchers.declaring_distributions(name)
    problem = f"'{name}' is a built-in stitcher, and {distributions} declares one of the same name"
    return Finding(keys, problem, "the other stitcher needs another name")


def _unknown_name(keys: Keys, name: str) -> Finding:
    if ":" in name:
        return Finding(keys, f"{name} runs code that is not part of Sweeper", "--trust allows it")
    if code.is_file_name(f"{name}:"):
        return Finding(keys, f"no stitcher '{name}'", f"add the name of the card in the file, such as {name}:CARD")
    names = [*STITCHERS, *user_stitchers.declared_names()]
    return Finding(keys, f"no stitcher '{name}'", did_you_mean(name, names) or f"available: {', '.join(names)}")
