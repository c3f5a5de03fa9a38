"""What stands for the paper's figures: every file can be read, and nothing of the paper is forgotten."""

import pytest

from sweeper.errors import UsageError
from sweeper.report.audit.curves import curves
from sweeper.report.audit.definition import Figure, chosen, figures
from sweeper.report.audit.select import COMPARING, NETWORK, settings
from sweeper.resources import job_names
from sweeper.spec.rows import ModelRow, Row, SimilarityRow, StitchRow, fields

PAPER = {(curve.figure, curve.quantity) for curve in curves()}
FIGURES = figures()

# Columns that are results, or say which stitch it is; the rest are settings, and nothing is mixed over a setting.
_COMMON = {field.name for field in fields(Row)}
_PAIR = {f"{name}_{side}" for name in ("cut", "position", "depth") for side in "ab"}
_PAIR |= {"a", "b", "a_weights", "b_weights", "data_digest"}
_RESULTS = {"parameters", "train_loss", "test_loss", "test_error", "correct"}
_DIRECT = {"direct_error", "direct_loss", "direct_r2"}
_OWN = {"a_loss", "b_loss", "a_error", "b_error", "penalty", "gain"}
OTHERS = {
    ModelRow: _COMMON | _RESULTS | {"training", "seed", "epochs", "weights"},
    StitchRow: _COMMON | _PAIR | _RESULTS | _DIRECT | _OWN | {"seed", "steps", "converged", "stop_data"},
    SimilarityRow: _COMMON | _PAIR | {"value"},
}


def test_every_figure_of_the_paper_has_a_definition():
    assert {(figure.figure, figure.quantity) for figure in FIGURES.values()} == PAPER
    assert len(FIGURES) == len(PAPER)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda figure: figure.name)
def test_it_names_curves_and_jobs_that_there_are(figure: Figure):
    named = {c.name for c in curves() if (c.figure, c.quantity) == (figure.figure, figure.quantity)}
    assert set(figure.curves) <= named
    assert set(figure.fills) <= set(job_names())
    assert set(figure.varies) < set(NETWORK)
    assert set(figure.protocol) <= {*settings(figure), *NETWORK.values(), *COMPARING["stitches"].values(), "b_error"}
    assert figure.fills or figure.lacks


@pytest.mark.parametrize(
    ("row", "named"),
    [(ModelRow, NETWORK), (StitchRow, COMPARING["stitches"]), (SimilarityRow, COMPARING["similarities"])],
)
def test_every_column_is_a_setting_or_a_result(row, named):
    """A new column: add it to NETWORK or COMPARING if what it says must not be mixed, else to OTHERS."""
    assert {field.name for field in fields(row)} == {*named, *OTHERS[row]}


def test_figures_by_name_and_by_number():
    assert [figure.name for figure in chosen(["2c"])] == ["2C"]
    assert [figure.name for figure in chosen(["5"])] == ["5", "5-cka"]
    assert [figure.name for figure in chosen(["5-cka", "2A"])] == ["2A", "5-cka"]
    assert len(chosen([])) == len(FIGURES)
    with pytest.raises(UsageError, match="no figure '10'; there are: 2A, 2B, 2C"):
        chosen(["10"])


def test_a_definition_that_says_nothing_is_refused():
    base = {"name": "1", "figure": "1", "question": "?", "quantity": "penalty", "axis": "depth"}
    with pytest.raises(ValueError, match="either jobs fill it"):
        Figure(**base)
    with pytest.raises(ValueError, match="an x and a value"):
        Figure(**base, fills=("demo",), curves={"one": {}})
    with pytest.raises(ValueError, match="extra"):
        Figure(**base, lacks="all", wehre="true")
