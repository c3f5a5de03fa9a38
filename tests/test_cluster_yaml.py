"""Tests of the cluster files with the code that `ray up` runs before it starts a machine."""

from pathlib import Path

import pytest
import yaml
from jsonschema import ValidationError
from moto import mock_aws
from ray.autoscaler._private.util import prepare_config, validate_config

from sweeper.resources import jobs_dir

ROOT = Path(__file__).parent.parent
AWS = ROOT / "cluster.yaml"
GCP = jobs_dir() / "launch" / "gcp.yaml"
ON_PREMISE = jobs_dir() / "launch" / "on-premise.yaml"
KUBERNETES = jobs_dir() / "launch" / "kubernetes.yaml"


def load(path: Path) -> dict:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", [AWS, GCP, ON_PREMISE], ids=lambda path: path.name)
def test_ray_accepts_the_file(path):
    config = prepare_config(load(path))
    validate_config(config)
    assert config["head_node_type"] in config["available_node_types"]


def test_ray_refuses_an_unknown_key():
    with pytest.raises(ValidationError):
        validate_config(prepare_config(load(AWS) | {"autoscaling_mode": "aggressive"}))


@pytest.mark.parametrize("path", [AWS, GCP, ON_PREMISE], ids=lambda path: path.name)
def test_every_container_requires_a_token_and_reports_no_usage(path):
    config = load(path)
    assert {"--env RAY_AUTH_MODE=token", "--env RAY_USAGE_STATS_ENABLED=0"} <= set(config["docker"]["run_options"])
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]


@pytest.mark.parametrize("path", [AWS, GCP], ids=lambda path: path.name)
def test_the_head_is_no_spot_instance_and_runs_no_tasks_while_workers_are_spot(path):
    config = load(path)
    head, worker = (config["available_node_types"][kind] for kind in ("head", "worker"))
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert head["max_workers"] == 0
    assert "spot" not in str(head["node_config"]).lower()
    assert "spot" in str(worker["node_config"]).lower()
    assert worker["resources"]["GPU"] == 1
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1]


def test_ray_bootstraps_the_cluster_on_a_simulated_aws(tmp_path, monkeypatch):
    """Run the steps of `ray up` before the first instance: key pair, security group, subnets, image, profiles."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    with mock_aws():
        config = bootstrap_aws(prepare_config(load(AWS)))
        filled = AWSNodeProvider.fillout_available_node_types_resources(config)

    head, worker = (config["available_node_types"][kind]["node_config"] for kind in ("head", "worker"))
    assert head["IamInstanceProfile"] == {"Name": "sweeper-head"}
    assert worker["InstanceMarketOptions"] == {"MarketType": "spot"}
    for node in (head, worker):
        assert node["ImageId"].startswith("resolve:ssm:")  # the GPU driver in Ray's default image is too old
        assert node["KeyName"]
        assert node["SubnetIds"]
        assert node["SecurityGroupIds"]
    assert filled["available_node_types"]["head"]["resources"] == {"CPU": 0, "GPU": 0}
    assert filled["available_node_types"]["worker"]["resources"].items() >= {"CPU": 8, "GPU": 1}.items()


def test_no_port_is_opened_except_the_ssh_port_that_ray_opens():
    assert "security_group" not in load(AWS)["provider"]


def test_the_kubernetes_job_requires_a_token_and_is_retried_after_the_loss_of_its_head():
    job = load(KUBERNETES)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert spec["backoffLimit"] >= 1
    assert "--allow-failures" in spec["entrypoint"], "a job that has finished with failed tasks is not retried"
    assert {rule["policy"] for rule in spec["deletionStrategy"]["deletionRules"]} == {"DeleteCluster"}
    assert spec["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@pytest.mark.parametrize("path", sorted((jobs_dir() / "launch").glob("*.sh")), ids=lambda path: path.name)
def test_shell_files_parse(path):
    import subprocess

    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
