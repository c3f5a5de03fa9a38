"""A test of a job with the user's code on a real cluster, whose job server is Ray's own."""

import json
import os
import subprocess
import sys

import pytest

from sweeper.store.store import Store

NETWORK = """\
from layers import hidden
from torch import nn

def net(num_classes: int, in_channels: int, width: int = 8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, width), hidden(), nn.Linear(width, num_classes))
"""
LAYERS = """\
from torch import nn

def hidden():
    return nn.ReLU()
"""
JOB = """\
name: own
models:
  m: {arch: "my/nets.py:net", samples: 100, steps: 5, seed: [0, 1]}
stitch:
  - {bottom: m, top: m, steps: 5, where: a.seed != b.seed}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)  # a node imports torch, in a minute or more on a busy machine
@pytest.mark.parametrize("job_server", ["ray"], indirect=True)
def test_a_job_with_a_users_network_runs_on_nodes_that_have_neither_the_job_nor_the_network(job_server, tmp_path):
    folder = tmp_path / "laptop"
    (folder / "my").mkdir(parents=True)
    (folder / "own.yaml").write_text(JOB)
    (folder / "my" / "nets.py").write_text(NETWORK)
    (folder / "my" / "layers.py").write_text(LAYERS)
    store_folder = tmp_path / "shared" / "own"
    command = [sys.executable, "-m", "sweeper", "submit", "own.yaml", "--trust", "--store", store_folder]
    process = subprocess.run(
        [*command, "--address", job_server, "--env", "TOWN=Delft"],
        cwd=folder,
        env=os.environ | {"SWEEPER_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "complete: 8 tasks done" in process.stdout
    store = Store.open(str(store_folder))
    [code] = json.loads(next(row.job_resolved for row in store.runs() if row.event == "start"))["code"]
    assert code["name"] == "my/nets.py:net"
    assert "/working_dir_files/" in code["path"], "the network is the one that was sent"
