"""Tests of the call of a check with a time limit."""

import time

from sweeper.cli.checks.check import FAILED, OK, WARNING, Check, perform_check, worst


def test_a_check_that_hangs_is_ended_by_its_time_limit_and_said():
    start = time.monotonic()
    check = perform_check("store", lambda: time.sleep(60) or Check("", OK, ""), 0.2)
    assert check == Check("store", FAILED, "no answer within 0.2 s")
    assert time.monotonic() - start < 5


def test_a_check_that_raises_has_failed():
    assert perform_check("disk", lambda: Check("", OK, str(1 // 0)), 5).state == FAILED
    assert perform_check("disk", lambda: Check("", OK, "fine"), 5) == Check("disk", OK, "fine")


def test_the_worst_of_several_checks_is_the_first_with_the_worst_state():
    checks = [Check("a", OK, ""), Check("b", WARNING, ""), Check("c", FAILED, "first"), Check("d", FAILED, "")]
    assert worst(checks).name == "c"
    assert worst(checks[:2]).name == "b"
