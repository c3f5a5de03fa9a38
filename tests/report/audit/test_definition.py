"""The definitions of the paper's figures: every file is valid, and every figure has one."""

import dataclasses

import pytest

from sweeper.errors import UsageError
from sweeper.report.audit.curves import curves
from sweeper.report.audit.definition import Figure, choose_figures, figures
from sweeper.report.audit.select import settings_held_equal
from sweeper.report.audit.settings import COMPARING, NETWORK
from sweeper.resources import job_names
from sweeper.spec.records.task import Recipe, TrainingRun

PAPER = {(curve.figure, curve.quantity) for curve in curves()}
FIGURES = figures()


def test_every_figure_of_the_paper_has_a_definition():
    assert {(figure.figure, figure.quantity) for figure in FIGURES.values()} == PAPER
    assert len(FIGURES) == len(PAPER)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda figure: figure.name)
def test_a_definition_names_existing_curves_jobs_and_settings(figure: Figure):
    names = {c.name for c in curves() if (c.figure, c.quantity) == (figure.figure, figure.quantity)}
    assert set(figure.curves) <= names
    assert set(figure.fills) <= set(job_names())
    assert set(figure.varies) < {*NETWORK.values(), *COMPARING[figure.of].values()}
    assert set(figure.protocol) <= {
        *settings_held_equal(figure),
        *NETWORK.values(),
        *COMPARING["stitches"].values(),
        "b_error",
    }
    assert figure.fills or figure.lacks


def test_settings_are_the_fields_of_the_specs():
    """Check that every field of a spec is a setting, also one that is added later, and that no result is one."""
    digests = {"weights", "code"}  # each weights file is its own training run; a row's `code` is Sweeper's version
    field_names = {field.name for field in dataclasses.fields(TrainingRun)} - digests
    place = {"where"}  # of a user's own network, whose name in a row contains its version
    assert field_names - {"id", "data", "seed", "init", "freeze"} - place <= set(NETWORK)
    assert not digests & set(NETWORK)
    assert "frozen" in NETWORK
    code = {"source", "where"}  # of a user's own stitcher, whose name in a row contains its version
    assert {field.name for field in dataclasses.fields(Recipe)} - {"seed", "steps"} - code <= set(COMPARING["stitches"])
    assert {"dataset", "data_digest", "width", "schedule_steps", "train_batch", "train_lr"} <= set(NETWORK.values())
    assert "max_steps" in COMPARING["stitches"]
    assert set(COMPARING["similarities"].values()) == {"measure", "measure_options", "images"}
    names = {*NETWORK, *COMPARING["stitches"]}
    assert not names & {"seed", "training", "test_error", "penalty", "weights", "converged", "parameters"}
    assert not set(NETWORK.values()) & {name for settings in COMPARING.values() for name in settings.values()}


def test_figures_are_chosen_by_name_or_number():
    assert [figure.name for figure in choose_figures(["2c"])] == ["2C"]
    assert [figure.name for figure in choose_figures(["5"])] == ["5", "5-cka"]
    assert [figure.name for figure in choose_figures(["5-cka", "2A"])] == ["2A", "5-cka"]
    assert len(choose_figures([])) == len(FIGURES)
    with pytest.raises(UsageError, match="no figure '10'; the figures are: 2A, 2B, 2C"):
        choose_figures(["10"])


def test_an_incomplete_definition_is_refused():
    base = {"name": "1", "figure": "1", "question": "?", "quantity": "penalty", "axis": "depth"}
    with pytest.raises(ValueError, match="give `fills`"):
        Figure(**base)
    with pytest.raises(ValueError, match="an x and a value"):
        Figure(**base, fills=("demo",), curves={"one": {}})
    with pytest.raises(ValueError, match="extra"):
        Figure(**base, lacks="all", wehre="true")
