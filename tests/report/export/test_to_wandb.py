"""Tests of the offline export to W&B, read as the records of its own protocol."""

import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sweeper.report.export.groups import Group, MetricPoint
from sweeper.report.export.to_wandb import to_wandb

pytest.importorskip("wandb", reason="wandb is not installed: pip install 'sweeper-stitching[wandb]'")

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POINTS = [MetricPoint("gain", 1.5, 1), MetricPoint("gain", 3.5, 5), MetricPoint("mean_gain", 2.5, 0)]
GROUP = Group("0123456789abcdef", "stitches", "A → B, conv1x1", {"a_samples": "300"}, POINTS, TIME, TIME)

BLOCK = 32768


def records(file: Path) -> Iterator[Any]:
    """Yield the records of a file of W&B: a log of LevelDB, in blocks, whose first block begins with 7 other bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, position, parts = file.read_bytes(), 7, b""
    while position + 7 <= len(content):
        if BLOCK - position % BLOCK < 7:  # the rest of a block that is too short for a header
            position += BLOCK - position % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", content[position : position + 7])
        parts += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a whole record, or its last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def test_a_group_is_an_offline_run_with_its_settings_and_metrics(tmp_path):
    command = to_wandb([GROUP], tmp_path / "new", "toy", "runs/toy")
    assert command == f"wandb sync {tmp_path}/new/wandb/offline-run-*"
    [file] = tmp_path.glob("new/wandb/offline-run-*/*.wandb")
    by_kind: dict[str, list[Any]] = {}
    for record in records(file):
        by_kind.setdefault(record.WhichOneof("record_type"), []).append(record)
    run = by_kind["run"][0].run
    assert (run.run_id, run.display_name, run.project, run.job_type) == (GROUP.id, GROUP.name, "toy", "stitches")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["a_samples"], config["store"]) == ("300", "runs/toy")
    history = []
    for record in by_kind["history"]:
        values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        history.append((values["_step"], values.get("gain"), values.get("mean_gain")))
    assert history == [(0, None, 2.5), (1, 1.5, None), (5, 3.5, None)]
    assert "exit" in by_kind, "the run is finished"
