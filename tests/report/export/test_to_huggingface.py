"""Tests of the export to a data set of Hugging Face, which is loaded by its card."""

import functools
import importlib.util
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from sweeper.report.export.dataset_card import CardSubject
from sweeper.report.export.earlier_export import MARKER, check_replaceable
from sweeper.report.export.to_huggingface import to_huggingface

from .conftest import TEXTS, rows_of

LOAD = """
import json, sys
from datasets import load_dataset
rows = load_dataset(sys.argv[1], "stitches", split="train").sort("task")
default = load_dataset(sys.argv[1], split="train")
print(json.dumps({"options": rows["options"][:], "gains": rows["gain"][:], "count": len(default),
    "at": str(rows[0]["at"]), "correct": [bits.hex() for bits in rows["correct"]], "direct": rows["direct_error"][:]}))
"""


@pytest.fixture
def folder(export, tmp_path):
    """Return a folder with the export of a store."""
    subject = CardSubject("Name \udce9", "mit", "Methods.")
    export(functools.partial(to_huggingface, subject=subject), tmp_path / "out", "models", "stitches", "failures")
    return tmp_path / "out"


def test_pyarrow_reads_the_files_of_each_configuration(folder, store):
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "models.parquet", "stitches.parquet", "failures.parquet", MARKER
    }  # fmt: skip
    header = YAML(typ="safe").load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    for config, info in zip(header["configs"], header["dataset_info"], strict=True):
        table = pq.read_table(folder / config["data_files"][0]["path"])
        assert table.num_rows == info["splits"][0]["num_examples"]
        assert table.column_names == [feature["name"] for feature in info["features"]]
        assert table.sort_by("task").to_pylist() == rows_of(store, config["config_name"])
    check_replaceable(folder)


@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="the package datasets is not installed")
def test_datasets_loads_it_by_its_card(folder, store, tmp_path):
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    process = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, check=True, env=environment
    )
    loaded, rows = json.loads(process.stdout), rows_of(store, "stitches")
    assert loaded["options"] == [row["options"] for row in rows]
    assert loaded["gains"] == [row["gain"] for row in rows]
    assert loaded["correct"] == [row["correct"].hex() for row in rows]
    assert loaded["direct"] == [None] * len(TEXTS)
    assert loaded["count"] == len(TEXTS)
    assert loaded["at"] == str(rows[0]["at"])
