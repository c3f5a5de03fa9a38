"""Tests of analysis files and their headers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import SweeperError
from sweeper.report.question import Parameter, find_questions, read_question
from sweeper.resources import analysis_dir

GOOD = """\
-- question: How many models are there?
-- one row per: architecture
-- read it as: a count,
--   of all seeds
-- rule: none
-- parameter: least = 2 (models, at the fewest)
-- parameter: share = 0.5
-- sections: arch
-- settings: dataset, width
-- parameter: how = all | some (of the models)
-- beneath: models
-- answer: Models: {arch}. It has {models}
-- in all: {rows} architectures with {sum models} models, {least models} to {most models}
-- shown: arch, models
-- about: tasks
SELECT arch, width, dataset, count(*) AS models FROM models GROUP BY ALL
HAVING models >= $least AND $share < 1 AND $how = 'all'
"""


def _write(folder: Path, text: str, name: str = "mine.sql") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_header_is_read(tmp_path):
    question = read_question(_write(tmp_path, GOOD))
    assert question.name == "mine"
    assert question.question == "How many models are there?"
    assert question.one_row_per == "architecture"
    assert question.read_it_as == "a count, of all seeds"
    assert question.parameters == (
        Parameter("least", 2, "models, at the fewest"),
        Parameter("share", 0.5),
        Parameter("how", "all", "of the models", ("all", "some")),
    )
    assert question.beneath == ("models",)
    assert question.answer == "Models: {arch}. It has {models}"
    assert question.in_all.startswith("{rows} architectures")
    assert question.shown == ("arch", "models")
    assert question.about_tasks
    assert question.sections == ("arch",)
    assert question.settings == ("dataset", "width")
    assert question.sql == GOOD
    assert question.arguments({"least": 3, "other": 1}) == {"least": 3, "share": 0.5, "how": "all"}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (GOOD, "SELECT 1\n", 1, "no header"),
        (GOOD, "", 1, "no SQL"),
        ("-- one row per: architecture\n", "", 1, "no 'one row per'"),
        ("-- rule: none", "-- rul: none", 5, "did you mean 'rule'?"),
        ("-- rule: none", "-- rule:", 5, "has no text"),
        ("-- rule: none", "-- question: again?", 5, "first on line 1"),
        ("-- rule: none", "-- just talk", 5, "not a header line"),
        ("least = 2 (", "least 2 (", 6, "not a parameter"),
        ("how = all | some (", "how = all | (", 10, "not a parameter"),
        ("share = 0.5", "part = 0.5", 17, "$share is not declared"),
        (" AND $share < 1", "", 1, "share is not used"),
        ("share = 0.5", "least = 0.5", 17, "$share is not declared"),
        ("dataset, width", "dataset width", 9, "'dataset width' is not a column"),
        ("answer: Models: {arch}. It", "answer: {arch}", 12, "a label, a colon and a sentence"),
        ("It has {models}", "It has {sum models}", 12, "{sum models} can't be filled in"),
        ("{least models}", "{models}", 13, "{models} can't be filled in"),
        ("about: tasks", "about: task", 15, "`tasks`, or `results`"),
    ],
)
def test_a_malformed_header_is_refused_with_its_line(tmp_path, old, new, line, message):
    path = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SweeperError) as error_info:
        read_question(path)
    assert str(error_info.value).startswith(f"{path}:{line}:1 ")
    assert message in str(error_info.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "any.sql"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        text_or_message = read_question(path).question
    except SweeperError as error:
        text_or_message = str(error) if str(path) in str(error) else ""
    assert text_or_message


def test_a_file_that_cant_be_read_is_named(tmp_path):
    with pytest.raises(SweeperError, match="mine"):
        read_question(tmp_path / "mine.sql")
    with pytest.raises(SweeperError, match="can't be the name of a table"):
        read_question(_write(tmp_path, GOOD, "my table.sql"))


def test_the_built_in_analysis_files_are_listed():
    expected = {
        "zoo", "penalty_by_cut", "more_data", "more_width", "more_training", "random_control", "stitching_and_cka",
        "connected",
    }  # fmt: skip
    assert expected <= set(find_questions())
    assert all(question.path.parent == analysis_dir() for question in find_questions().values())


def test_a_folder_adds_and_replaces_questions(tmp_path):
    _write(tmp_path, GOOD)
    _write(tmp_path, GOOD, "zoo.sql")
    questions = find_questions([tmp_path])
    assert questions["mine"].question == questions["zoo"].question == "How many models are there?"


def test_a_folder_without_analysis_files_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, problem in (("nowhere", "there is no such folder"), ("empty", "the folder has no analysis file")):
        with pytest.raises(SweeperError, match=f"--analysis {tmp_path}/{name}: {problem}"):
            find_questions([tmp_path / name])
    _write(tmp_path, GOOD)
    with pytest.raises(SweeperError, match=f"this is a file; name the folder that holds it: {tmp_path}"):
        find_questions([tmp_path / "mine.sql"])
