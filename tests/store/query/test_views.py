"""The views have each task once, the specifications of a stitch's models, failures, attempts and runs."""

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from support.store_rows import AT, curve, end, failure, model, similarity, start, stitch, weights_of

from sweeper.spec.cards.archs import ARCHS, complete_options, network
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.rows import RECEIPTS, ROWS, Row, fields
from sweeper.store.query import views
from sweeper.store.store import Store
from sweeper.trials.stitching.stitchers.conformance import option_combinations

DOCUMENTED_COLUMNS = (
    "task, a, b, a_arch, a_width, a_samples, a_steps, a_epochs, a_seed, b_arch, b_width, b_samples, b_steps, b_epochs, "
    "b_seed, cut_a, cut_b, position_a, position_b, depth_a, depth_b, stitcher, protocol, data, seed, test_error, "
    "test_loss, a_error, b_error, penalty, gain, net_gain, direct_error, steps, converged, seconds, a_nested, "
    "a_schedule_steps, a_label_noise, a_training, b_training, same_run, mixed, a_weights, b_weights"
)


def commit(store: Store, *rows: Row, run: str = "r", worker: str = "w") -> None:
    """Commit rows as those of one run."""
    store.commit([dataclasses.replace(row, run=run) for row in rows], run=run, worker=worker)


def rows_of(store: Store, query: str, **only: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query as tuples."""
    return [tuple(row.values()) for row in store.sql(query, **only).to_pylist()]


@pytest.fixture
def store_of_two_models(store: Store) -> Store:
    """Make a store of two models with their weights, their self-stitches, and a stitch of the one into the other."""
    for name in ("m1", "m2"):
        store.put_weights(weights_of(name))
    models = [model("m1", arch="resnet18k", samples=100, seed=1), model("m2", samples=300, seed=2)]
    self_stitches = [stitch("m1", "m1", gain=0.5), stitch("m2", "m2", gain=1.0)]
    commit(store, *models, *self_stitches, stitch("m2", "m1", gain=3.0))
    return store


def test_the_views_of_an_empty_store_have_typed_columns_and_no_rows(store: Store):
    for view in views.VIEWS:
        table = store.sql(f"SELECT * FROM {view.name}")
        assert table.num_rows == 0
        assert table.column_names == [column.name for column in view.columns]
    types = {name: str(kind) for name, kind in zip(*_schema(store, "stitches"), strict=True)}
    assert types["gain"] == "double"
    assert types["a_width"] == "int64"
    assert types["converged"] == "bool"


def test_the_types_of_columns_do_not_depend_on_the_stored_rows(store_of_two_models: Store, tmp_path):
    empty_store = Store.open(str(tmp_path / "empty"), create=True)
    for view in views.VIEWS:
        assert _schema(store_of_two_models, view.name) == _schema(empty_store, view.name)


def _schema(store: Store, view: str) -> tuple[list[str], list[object]]:
    schema = store.sql(f"SELECT * FROM {view}").schema
    return schema.names, schema.types


def test_every_stored_field_of_a_receipt_is_a_column_of_its_view(store: Store):
    for kind in RECEIPTS:
        assert {field.name for field in fields(ROWS[kind])} <= set(store.sql(f"SELECT * FROM {kind}").column_names)


def test_the_stitches_view_has_the_columns_that_users_queries_rely_on(store: Store):
    assert store.sql(f"SELECT {DOCUMENTED_COLUMNS} FROM stitches").num_rows == 0


def test_times_in_views_are_in_utc(store_of_two_models: Store):
    assert rows_of(store_of_two_models, 'SELECT DISTINCT "at" FROM models') == [(AT,)]
    assert rows_of(store_of_two_models, 'SELECT DISTINCT "at"::TEXT FROM models') == [
        ("2026-01-02 03:04:05.678901+00",)
    ]


def test_a_stitch_has_the_specifications_of_its_models(store_of_two_models: Store):
    columns = "a_arch, a_samples, a_seed, b_arch, b_samples, b_training, same_run, mixed"
    rows = rows_of(store_of_two_models, f"SELECT {columns} FROM stitches WHERE task = 'm2>m1@block1'")
    assert rows == [("x", 300, 2, "resnet18k", 100, "tm1", False, False)]


def test_net_gain_is_the_gain_minus_that_of_the_self_stitch(store_of_two_models: Store):
    assert rows_of(store_of_two_models, "SELECT a, b, net_gain FROM stitches ORDER BY ALL") == [
        ("m1", "m1", 0.0),
        ("m2", "m1", 2.5),
        ("m2", "m2", 0.0),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"cut_b": "block2"},
        {"stitcher": "identity"},
        {"options": "{}"},
        {"protocol": "paper"},
        {"data": "top"},
        {"data_digest": "other"},
        {"seed": 7},
        {"max_steps": 7},
        {"batch": 7},
        {"lr": 0.5},
        {"augment": "crop_flip"},
        {"stop": "none"},
        {"train": "top"},
        {"b_weights": "other"},
        {"b": "m2", "b_weights": "other"},
    ],
    ids=str,
)
def test_net_gain_is_null_if_no_self_stitch_has_the_same_setting(store_of_two_models: Store, change: dict[str, Any]):
    commit(store_of_two_models, stitch("m2", "m1", task="changed", gain=3.0, **change))
    assert rows_of(store_of_two_models, "SELECT net_gain FROM stitches WHERE task = 'changed'") == [(None,)]


def test_a_stitch_of_a_model_with_itself_between_two_cuts_or_two_weights_is_not_a_self_stitch(store: Store):
    commit(store, stitch("m1", "m1", cut_a="block3", gain=9.0), stitch("m1", "m1", task="x", a_weights="o", gain=9.0))
    assert rows_of(store, "SELECT DISTINCT net_gain FROM stitches") == [(None,)]


def test_a_self_stitch_that_is_stored_under_two_ids_counts_once(store_of_two_models: Store):
    commit(store_of_two_models, stitch("m1", "m1", task="later kernel", gain=1.5, at=AT + timedelta(days=1)))
    assert rows_of(store_of_two_models, "SELECT count(*) FROM stitches") == [(4,)]
    assert rows_of(store_of_two_models, "SELECT net_gain FROM stitches WHERE task = 'm2>m1@block1'") == [(1.5,)]


def test_same_run_is_true_for_snapshots_of_one_training_run_and_false_for_a_self_stitch(store: Store):
    commit(store, model("m1", training="t"), model("m2", training="t"), stitch("m1", "m2"), stitch("m1", "m1"))
    assert rows_of(store, "SELECT a, b, same_run FROM stitches ORDER BY ALL") == [
        ("m1", "m1", False),
        ("m1", "m2", True),
    ]


def test_a_stitch_whose_models_are_not_stored_is_shown_as_mixed(store: Store):
    commit(store, stitch("m1", "m2"))
    assert rows_of(store, "SELECT a_arch, same_run, mixed FROM stitches") == [(None, None, True)]


def test_a_stitch_with_other_weights_than_the_models_view_shows_is_mixed(store_of_two_models: Store):
    commit(store_of_two_models, stitch("m2", "m1", task="old", b_weights="of an earlier training"))
    assert rows_of(store_of_two_models, "SELECT task FROM stitches WHERE mixed") == [("old",)]


def test_a_task_with_several_rows_is_shown_with_that_of_the_lowest_attempt_and_part(store: Store):
    commit(store, stitch("m1", "m2", attempt=1, gain=1.0), run="a")
    commit(store, stitch("m1", "m2", attempt=0, gain=2.0), stitch("m1", "m1", gain=5.0), run="c")
    commit(store, stitch("m1", "m2", attempt=0, gain=3.0), run="b")
    assert rows_of(store, "SELECT task, gain, run FROM stitches ORDER BY ALL") == [
        ("m1>m1@block1", 5.0, "c"),
        ("m1>m2@block1", 3.0, "b"),
    ]
    assert rows_of(store, "SELECT count(*) FROM attempts") == [(4,)]


def test_a_task_with_several_rows_in_one_part_is_shown_once(store: Store):
    commit(store, *[similarity("m1", "m2", attempt=attempt, value=float(attempt)) for attempt in (2, 1, 3)])
    assert rows_of(store, "SELECT task, value FROM similarities") == [("m1~m2", 1.0)]


def test_calibrated_rescales_a_similarity_by_its_null_mean(store: Store):
    no_null = {"null_permutations": None, "null_mean": None, "null_std": None}
    fields_by_task: dict[str, dict[str, Any]] = {
        "calibrated": {"measure": "linear_cka", "value": 0.6, "null_mean": 0.2},
        "no null": {"measure": "linear_cka", "value": 0.6, **no_null},
        "unknown measure": {"measure": "unknown", "value": 0.6, "null_mean": 0.2},
        "null mean of 1": {"measure": "affine_r2", "value": 1.0, "null_mean": 1.0},
    }
    commit(store, *[similarity("m1", "m2", task=task, **fields) for task, fields in fields_by_task.items()])
    calibrated = dict(rows_of(store, "SELECT task, calibrated FROM similarities"))
    assert calibrated.pop("calibrated") == pytest.approx(0.5)
    assert calibrated == {"no null": None, "unknown measure": None, "null mean of 1": None}


def test_a_model_whose_weights_are_missing_is_shown_with_a_later_row_that_has_weights(store: Store):
    digest = store.put_weights(b"second")
    commit(store, model("m1", weights="gone", test_error=10.0), run="a")
    commit(store, model("m1", weights=digest, attempt=1, test_error=20.0), run="b")
    assert rows_of(store, "SELECT weights, test_error FROM models") == [(digest, 20.0)]
    assert store.weights() == {"m1": digest}
    assert store.done() == {"m1"}


def test_store_weights_are_those_of_the_rows_that_the_models_view_shows(store: Store):
    digests = [store.put_weights(name) for name in (b"first", b"second")]
    commit(store, model("m1", weights=digests[1]), run="b")
    commit(store, model("m1", weights=digests[0]), run="a")
    assert store.weights() == dict(rows_of(store, "SELECT task, weights FROM models")) == {"m1": digests[0]}


def test_only_restricts_the_rows_of_views_but_not_the_rows_that_they_are_joined_with(store_of_two_models: Store):
    commit(store_of_two_models, curve("m1", 1), curve("m2", 1), failure("lost"), failure("other"))
    only = {"m2", "m2>m1@block1", "lost"}
    for view, expected in {
        "models": ["m2"],
        "stitches": ["m2>m1@block1"],
        "similarities": [],
        "curves": ["m2"],
        "failures": ["lost"],
        "attempts": ["lost", "m2", "m2>m1@block1"],
    }.items():
        assert rows_of(store_of_two_models, f"SELECT task FROM {view} ORDER BY task", only=only) == [
            (task,) for task in expected
        ]
    assert rows_of(store_of_two_models, "SELECT b_arch, net_gain FROM stitches", only=only) == [("resnet18k", 2.5)]
    assert rows_of(store_of_two_models, "SELECT count(*) FROM stitches", only=set()) == [(0,)]


def test_a_curve_is_that_of_the_attempt_that_the_models_view_shows(store: Store):
    first_attempt = [curve("m1", step, loss=9.0) for step in (1, 2)]
    second_attempt = [curve("m1", step, loss=1.0, attempt=1) for step in (1, 2)]
    commit(store, *first_attempt)
    commit(store, *second_attempt, model("m1", attempt=1))
    commit(store, curve("m3", 1))  # of a task that isn't done
    assert rows_of(store, "SELECT task, step, loss FROM curves ORDER BY ALL") == [("m1", 1, 1.0), ("m1", 2, 1.0)]


def test_a_curve_that_was_committed_twice_is_shown_once(store: Store):
    points = [curve("m1", step) for step in (1, 2)]
    commit(store, *points)
    commit(store, *points, curve("m2", 1), model("m1"))
    assert rows_of(store, "SELECT step FROM curves ORDER BY step") == [(1,), (2,)]


def test_failures_has_the_last_failure_of_each_task_that_is_not_done(store_of_two_models: Store):
    later = AT + timedelta(minutes=1)
    commit(
        store_of_two_models,
        failure("lost", message="first"),
        failure("lost", message="last", attempt=1, at=later, final=True),
    )
    commit(store_of_two_models, failure("m2>m1@block1", message="done in the end"))
    assert rows_of(store_of_two_models, "SELECT task, message, final FROM failures") == [("lost", "last", True)]


def test_attempts_has_successful_and_failed_attempts(store_of_two_models: Store):
    commit(store_of_two_models, failure("m1", of="models", message="why"), failure("lost", of="stitches"))
    assert rows_of(
        store_of_two_models, "SELECT kind, outcome, error, message FROM attempts WHERE task = 'm1' ORDER BY outcome"
    ) == [
        ("models", "done", None, None),
        ("models", "failed", "RuntimeError", "why"),
    ]
    assert rows_of(store_of_two_models, "SELECT outcome, count(*) FROM attempts GROUP BY ALL ORDER BY ALL") == [
        ("done", 5),
        ("failed", 2),
    ]


def test_the_start_and_the_end_of_a_run_are_one_row(store: Store):
    commit(store, start("r1", job="j", tasks=9), end("r1", done=9, at=AT + timedelta(seconds=90)), run="r1")
    commit(store, start("r2", job="j"), run="r2")
    assert rows_of(store, "SELECT run, job, outcome, tasks, done, seconds FROM runs ORDER BY run") == [
        ("r1", "j", "complete", 9, 9, 90.0),
        ("r2", "j", "running or lost", 1, None, None),
    ]


def test_runs_and_last_job_return_rows_in_the_order_of_time(store: Store):
    rows = [
        start("r1", job="j"),
        start("r2", job="k", at=AT + timedelta(1)),
        start("r3", job="j", at=AT - timedelta(1)),
    ]
    for row in rows:
        commit(store, row, run=row.run)
    assert store.runs() == [rows[2], rows[0], rows[1]]
    assert store.last_job() == rows[1]
    assert store.last_job("j") == rows[0]
    assert store.last_job("unknown") is None


def test_filters_on_texts_and_ids_select_the_matching_rows(store_of_two_models: Store):
    assert rows_of(store_of_two_models, "SELECT task FROM models WHERE arch = 'resnet18k'") == [("m1",)]
    assert rows_of(
        store_of_two_models, "SELECT task FROM stitches WHERE cut_b IN ('block1', 'pool') AND a = 'm2' AND b <> 'm2'"
    ) == [("m2>m1@block1",)]
    assert rows_of(
        store_of_two_models, "SELECT count(*) FROM stitches WHERE stitcher LIKE 'conv%' OR protocol IS NULL"
    ) == [(0,)]


def test_the_legend_names_every_column_with_type_and_meaning(store: Store):
    legend = views.legend()
    assert [(view, column) for view, column, *_ in legend] == [(v.name, c.name) for v in views.VIEWS for c in v.columns]
    assert all(meaning for *_, meaning in legend)
    assert ("stitches", "net_gain", "DOUBLE", "%") in [line[:4] for line in legend]
    assert ("models", "width", "BIGINT", "") in [line[:4] for line in legend]


@pytest.mark.parametrize("sample", views.SAMPLES, ids=lambda sample: sample.question)
def test_a_sample_query_runs(store_of_two_models: Store, sample: views.Sample):
    assert sample.question.endswith(("?", ")"))
    assert store_of_two_models.sql(sample.sql).num_columns > 1


def test_the_functions_of_intervals_can_be_called_in_sql(store_of_two_models: Store):
    for a in ("m1", "m2"):
        for b in ("m3", "m4", "m5"):
            commit(store_of_two_models, stitch(a, b, task=a + b, gain=float(int(a[1]) + int(b[1]))))
    query = "SELECT ci(a, b, gain) AS ci, p_zero(ci), p_margin(ci, 10), holm(p_zero(ci)) FROM stitches WHERE b > 'm2'"
    ((interval, p_of_zero, p_of_margin, adjusted_p),) = rows_of(store_of_two_models, query)
    assert interval["mean"] == 5.5
    assert (interval["n_a"], interval["n_b"], interval["n_pairs"]) == (2, 3, 6)
    assert 0.05 < p_of_zero == adjusted_p < 0.06  # 2 models on a side
    assert 0 < p_of_margin < 0.05


@pytest.mark.parametrize("name", ARCHS)
def test_the_names_of_cuts_tell_the_same_as_the_cards_of_architectures(store: Store, name: str):
    """Cards at other settings, too: blocks and depth move the last cuts."""
    for number in (1, 3, 7):
        given = {key: number for key in ("blocks", "depth") if key in ARCHS[name].options}
        settings = complete_options(name, {**given, **({"patch": 8} if name == "vit" else {})})
        layout = network(name, settings, (3, 32, 32), 10)
        for cut in (*layout.cuts, layout.output(10)):
            query = f"SELECT has_affine_top('{name}', '{json.dumps(dict(settings))}', '{cut.name}')"
            assert rows_of(store, query) == [(cut.affine_top,)], cut.name
    assert rows_of(store, "SELECT has_affine_top('torchvision:resnet18', '{}', 'flatten')") == [(None,)]


@pytest.mark.parametrize("name", STITCHERS)
def test_the_names_of_stitchers_tell_the_same_as_their_cards(store: Store, name: str):
    for options in option_combinations(STITCHERS[name]):
        query = f"SELECT is_affine_stitcher('{name}', '{json.dumps(dict(options))}')"
        assert rows_of(store, query) == [(STITCHERS[name].affine(options),)]
    assert rows_of(store, "SELECT is_affine_stitcher('wide@3f2a9c1b', '{}')") == [(None,)]
