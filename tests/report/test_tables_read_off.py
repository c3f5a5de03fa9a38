"""The property of every table with verdicts: a verdict is what the interval shown in its row says, and no other."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.planted_store import LATE, Planted, analysis_table, rows_of

from sweeper.report.tables import CONTROL, NO_CONTROL
from sweeper.store.store import Store

MARGINS = st.sampled_from([0.0, 0.3, 1.0, 4.0])
CUTS = ["block1", *LATE[:3]]


def decisions(low: float | None, high: float | None, margin: float) -> dict[str, bool]:
    """Return which decisions on a gain the bounds of its interval allow; a missing bound allows undecided alone."""
    above, below = low is not None and low > margin, high is not None and high < -margin
    within = low is not None and high is not None and -margin <= low and high <= margin
    return {"better": above, "worse": below, "as good": within, "undecided": not (above or below or within)}


def connections(low: float | None, high: float | None, margin: float) -> dict[str, bool]:
    """Return which decisions on a net penalty the bounds of its interval allow."""
    below, above = high is not None and high <= margin, low is not None and low > margin
    return {"connected": below, "not connected": above, "undecided": not (above or below)}


def plant(planted: Planted, random: np.random.Generator) -> None:
    """Plant settings with random numbers of runs, effects, spreads, runs of jobs, and missing stitches."""
    planted.start("later", seeds=2)
    weak = planted.models(int(random.integers(1, 5)))
    for seed, level in ((10, {"samples": 300}), (20, {"samples": 1200}), (30, {"steps": 0}), (0, None)):
        bottoms = weak if level is None else planted.models(int(random.integers(1, 5)), seed=seed, **level)
        spread, effect = random.choice([0.05, 0.5, 3.0]), random.normal(0, 4, len(CUTS)) * random.integers(0, 2)
        for a, b in ((a, b) for a in bottoms for b in weak if a is not b):
            run = "later" if a.seed % 10 > 1 else "lost"
            for cut, mean in zip(CUTS, effect, strict=True):
                if random.random() < 0.95:
                    planted.stitch(a, b, cut, mean + spread * float(random.normal()), run=run)
    for b in weak:
        for cut in CUTS:
            if random.random() < 0.9:
                planted.stitch(b, b, cut, 0.2 * float(random.normal()))


@pytest.mark.parametrize("name", ["more_data", "random_control", "connected"])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), margin=MARGINS)
def test_a_verdict_is_given_if_and_only_if_the_shown_interval_says_so(name: str, seed: int, margin: float):
    with tempfile.TemporaryDirectory() as folder:
        planted = Planted(Store.open(str(Path(folder) / "store"), create=True))
        plant(planted, np.random.default_rng(seed))
        table = analysis_table(planted.commit(), name, parameters={"margin": margin})
        value = "net_gain" if name == "more_data" else "net_penalty"
        for row in rows_of(table):
            if row["verdict"] in (None, "not tested", CONTROL, NO_CONTROL):
                continue
            low, high = row[f"{value}_low"], row[f"{value}_high"]
            if name == "random_control":  # the penalty of an untrained bottom, whose verdict is that of its gain
                low, high = (None if bound is None else -bound for bound in (high, low))
            allowed = (connections if name == "connected" else decisions)(low, high, margin)
            assert [decision for decision, holds in allowed.items() if holds] == [row["verdict"]]
            assert low is None or high is None or row["confidence"] > 95
