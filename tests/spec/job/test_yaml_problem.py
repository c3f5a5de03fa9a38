"""Tests of the words on a text that isn't YAML, and of the place that they name."""

import pytest

from sweeper.errors import JobError
from sweeper.spec.job.source import parse

PROBLEMS = [  # § is the place that the message names
    ("name: a\nmodels:\n§\tm: {}\n", "a tab can't indent a line", "indent it with spaces"),
    (
        "models:\n  m: {arch: mlp, steps: 2\n  n§: {arch: mlp}\n",
        "a comma or } is missing before this",
        "line 2, column 6",
    ),
    ("name: [a, b\n§", "a comma or ] is missing at the end", "the list begins with [ in line 1, column 7"),
    ("m: {a: 1 b§: 2}\n", "a comma or } is missing before this", "the mapping begins with {"),
    ("m: [1, 2]§]\n", "this ] closes nothing", "leave it out"),
    ("name: a§: b\n", "this ':' belongs to no key", "in quotes"),
    ("name x\nb§: 1\n", "this ':' belongs to no key", "a ':' after each key"),
    ("name: x\n§steps\n", "a ':' is missing after a key", "write key: value"),
    ("name: §'more data\n", "the closing quote is missing", "the same quote"),
    ("name: 'it'§s'\n", "text follows a value that has ended", "the whole value in quotes"),
    ("m:\n  a: 1\n §b: 2\n", "the indentation doesn't fit the lines above", "in the same column"),
    ("m:\n  - a\n §- b\n", "the indentation doesn't fit the lines above", "in the same column"),
    ("name: §@x\n", "a value can't begin with @", "write the value in quotes"),
    ("m: §*nobody\n", "found undefined alias 'nobody'", "a * begins an alias"),
]


@pytest.mark.parametrize(("marked", "problem", "correction"), PROBLEMS)
def test_a_text_that_is_not_yaml_has_its_place_problem_and_correction(marked, problem, correction):
    before = marked[: marked.index("§")]
    with pytest.raises(JobError) as error:
        parse(marked.replace("§", ""), "job.yaml")
    (mistake,) = error.value.mistakes
    assert mistake.problem.startswith(f"not YAML: {problem}")
    assert correction in mistake.correction
    assert (mistake.line, mistake.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


def test_no_message_names_a_token_of_the_yaml_library():
    for marked, *_ in PROBLEMS:
        with pytest.raises(JobError) as error:
            parse(marked.replace("§", ""), "job.yaml")
        assert not [word for word in ("scanning", "flow", "block", "token", "scalar") if word in str(error.value)]
