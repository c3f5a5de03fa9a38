"""Tests of the decision to start no more tasks."""

import pytest

from sweeper.engine.early_stop import EarlyStop


def early_stop(after_failures=3, at_share=0.5, all_need=False) -> EarlyStop:
    return EarlyStop(after_failures, at_share, lambda kind, models: all_need)


def fail(rules: EarlyStop, task: str, models=(), failure_class="E at x.py:1", kind="stitches"):
    return rules.on_failure(kind, failure_class, f"E: {task}", task, models)


def test_a_class_of_failure_stops_its_kind_after_some_tasks_without_a_success():
    rules = early_stop()
    assert [fail(rules, task) for task in ("a", "b", "b")] == [None] * 3, "a task counts once"
    assert fail(rules, "c", failure_class="F") is None, "another class"
    assert fail(rules, "c", kind="similarities") is None, "another kind"
    stop = fail(rules, "c")
    assert stop is not None
    assert (stop.kinds, stop.task, stop.error) == (("stitches",), "a", "E: a")
    assert stop.reason == "3 stitches failed with E at x.py:1 and none succeeded meanwhile"
    assert fail(rules, "d") is None, "a kind is stopped once"


def test_a_success_of_the_kind_starts_the_count_again():
    rules = early_stop()
    fail(rules, "a"), fail(rules, "b")
    rules.on_success("similarities", ["s"])
    rules.on_success("stitches", [])
    assert fail(rules, "c") is not None
    rules = early_stop()
    fail(rules, "a"), fail(rules, "b")
    rules.on_success("stitches", ["d"])
    assert [fail(rules, task) for task in ("c", "e")] == [None, None]
    assert fail(rules, "f") is not None


@pytest.mark.parametrize("all_need", [True, False])
def test_failures_that_share_a_model_stop_a_kind_only_if_all_its_tasks_need_the_model(all_need):
    rules = early_stop(all_need=all_need)
    stops = [fail(rules, str(number), models=["a", str(number)]) for number in range(5)]
    assert any(stops) is all_need
    if not all_need:
        assert fail(rules, "other", models=["b"]) is not None


def test_a_share_of_at_least_fifty_tasks_stops_all_kinds():
    rules = early_stop(after_failures=0)
    rules.on_success("stitches", [f"ok {number}" for number in range(26)])
    assert [fail(rules, str(number), failure_class=str(number)) for number in range(25)] == [None] * 25
    stop = fail(rules, "25", failure_class="25")
    assert stop is not None
    assert stop.kinds == ("models", "stitches", "similarities")
    assert stop.reason == "26 of the 52 tasks that ended failed, the last with 25"


def test_a_task_that_succeeds_in_a_retry_has_not_failed():
    rules = early_stop(after_failures=0)
    for number in range(200):
        assert fail(rules, str(number), failure_class=str(number)) is None
        rules.on_success("stitches", [str(number)])


def test_the_line_names_a_task_and_the_command_that_performs_it_again():
    rules = early_stop(after_failures=1)
    stop = rules.on_failure("models", "E", "E: first line\nsecond", "a", ())
    assert stop is not None
    assert stop.text(7, "sweeper rerun --store s") == (
        "1 models failed with E and none succeeded meanwhile, so 7 tasks were not started and stay missing; "
        "an example is a: E: first line; `sweeper rerun --store s a` performs it again"
    )
