"""Tests that the lines of the launch files start a run: each is read from its file, and run on nodes of this machine.

In a line, only the bucket or the shared folder is replaced, by a folder (see `support/launch_machine.py`).
"""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.driver_process import until
from support.launch_machine import Machine
from support.ray_nodes import RayNodes, free_port, ray_nodes
from support.toy_places import places
from support.toy_store import JOB

from sweeper.resources import jobs_dir
from sweeper.store.store import Store

ROOT = Path(__file__).parent.parent
LAUNCH = jobs_dir() / "launch"
FILES = {path.name: path for path in (ROOT / "cluster.yaml", *sorted(LAUNCH.glob("*.yaml")))}
JOIN_SECONDS = 60.0  # 10 s on a machine that has nothing else to do


def driver_line(file: Path) -> str:
    """Return the command of a launch file that starts the driver."""
    if file.name == "kubernetes.yaml":
        return yaml.safe_load(file.read_text())["spec"]["entrypoint"]
    comment = "\n".join(line.removeprefix("#") for line in file.read_text().splitlines() if line.startswith("#"))
    words = shlex.split(re.search(r"ray exec (?:.*\\\n)*.*", comment)[0].replace("\\\n", " "))  # type: ignore[index]
    assert words[:2] == ["ray", "exec"]
    assert (ROOT / words[2]).samefile(file)
    assert words[3] == "--tmux"
    [line] = words[4:]
    return line


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine with the commands of a launch line."""
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def head(machine: Machine, tmp_path: Path) -> Iterator[RayNodes]:
    """Start a head without CPUs."""
    with ray_nodes(tmp_path, "--include-dashboard=false") as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FILES))
def test_the_line_waits_for_a_node_and_its_first_task_starts_when_one_joins(name, machine, head):
    line = driver_line(FILES[name])
    with machine.running(line, RAY_ADDRESS=head.address) as driver:
        assert driver.read_until("waiting for a node with 1 CPU"), driver.output
        assert places() == []
        head.add("worker", cpus=8, gpus=1)
        joined = time.time()
        assert until(lambda: any(place.gpu == "0" for place in places()), timeout=JOIN_SECONDS), places()
        first = places()[0]  # on the GPU, or on one of the CPUs beside it, whose workers start at the same time
        print(f"{name}: the first task started {first.time - joined:.1f} s after its node had joined")
        assert {place.node for place in places()} == {"worker"}
        driver.end()
    assert "interrupted" in driver.output
    assert Store.open(str(machine.store)).done()


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_line_repeats_a_run_that_has_finished_with_failed_tasks(name, machine, tmp_path):
    machine.add("sweeper", f"echo called >> {tmp_path}/calls; exit 3")
    code = subprocess.run(["bash", "-c", driver_line(FILES[name])], check=False).returncode
    assert (tmp_path / "calls").read_text() == "called\n"
    assert code == 3
    if name == "kubernetes.yaml":
        assert "--allow-failures" in driver_line(FILES[name]), "which makes the code 0, so that the job isn't retried"


@pytest.mark.slow
def test_the_slurm_script_runs_a_job_to_its_end_on_a_cluster_of_its_own(machine, tmp_path):
    machine.add("scontrol", "echo 127.0.0.1")
    machine.add("srun", 'exec "$@"')
    machine.add("nproc", "echo 2")
    (tmp_path / "toy.yaml").write_text(JOB)
    script = (LAUNCH / "slurm.sh").read_text().replace("6379", str(free_port()))
    (tmp_path / "slurm.sh").write_text(script)
    line = f"ray get-auth-token --generate && bash {tmp_path}/slurm.sh {tmp_path}/toy.yaml {machine.store}"
    with machine.running(line, SLURM_JOB_NODELIST="node", SLURM_JOB_NUM_NODES="1") as driver:
        assert driver.read_until("complete: "), driver.output
        assert driver.wait() == 0


@pytest.mark.slow
def test_the_on_premise_file_starts_a_head_and_two_workers_and_its_line_runs_on_all_of_them(machine, tmp_path):
    """Run the file's commands with `ray up` and `ray exec`; each machine is an address of the loopback device.

    Only the container, the wheel's installation and the addresses are left out.
    """
    file = LAUNCH / "on-premise.yaml"
    port = free_port()
    config = yaml.safe_load(file.read_text().replace("6379", str(port)))
    del config["docker"], config["setup_commands"]
    config["file_mounts"] = {"~/.ray/auth_token": "~/.ray/auth_token"}
    config["cluster_name"] = f"on-premise-{time.time_ns()}"  # Ray keeps the state of a cluster in a file of its name
    config["provider"] |= {"head_ip": "127.0.0.1", "worker_ips": ["127.0.0.2", "127.0.0.3"]}
    copy = tmp_path / "on-premise.yaml"
    copy.write_text(yaml.safe_dump(config))
    machine.answer_ssh(port)
    machine.set_rules({"*": "sleep 1"})
    up = f"ray get-auth-token --generate && ray up --yes --no-config-cache {copy}"
    run = f"ray exec --no-config-cache {copy} --tmux {shlex.quote(driver_line(file))}"
    with machine.running(f"{up} && {run} && sleep 600", RAY_AUTH_MODE="token"):
        nodes = {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
        assert until(lambda: {place.node for place in places()} == nodes, timeout=200), places()


@pytest.mark.slow
def test_an_autoscaler_starts_a_node_because_the_run_asks_for_it(machine, tmp_path):
    """Use Ray's fake provider, whose nodes are processes of this machine."""
    port = free_port()
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    config = {f"{name}_commands": [] for name in commands} | {
        "cluster_name": "fake",
        "max_workers": 1,
        "idle_timeout_minutes": 5,
        "upscaling_speed": 4.0,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"127.0.0.1:{port}",
            "disable_node_updaters": True,  # the provider itself starts Ray on a node
            "disable_launch_config_check": True,
        },
        "auth": {"ssh_user": "nobody"},
        "file_mounts": {},
        "cluster_synced_files": [],
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 1},
        },
    }
    (tmp_path / "fake.yaml").write_text(json.dumps(config))
    options = [f"--autoscaling-config={tmp_path}/fake.yaml", "--include-dashboard=false"]
    environment = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    with (
        ray_nodes(tmp_path, *options, port=port, **environment) as head,
        machine.running(driver_line(FILES["cluster.yaml"]), RAY_ADDRESS=head.address) as driver,
    ):
        assert driver.read_until("waiting for a node"), driver.output
        assert until(places, timeout=120), "no task started"
        assert places()[0].gpu == "0"
