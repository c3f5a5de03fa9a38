"""Tests of the command and the store of a driver on a cluster."""

import shlex

import pytest

from sweeper.errors import UsageError
from sweeper.remote.bundle import pack
from sweeper.remote.submission import prepare


def test_the_command_runs_the_job_on_the_cluster_with_the_overrides_and_options(job):
    submission = prepare(pack(job), ["models.m.arch=mlp, vit"], "s3://b/tiny", {}, ["--wait", "--trust"])
    words = shlex.split(submission.command)
    assert words == [
        *("exec", "python", "-m", "sweeper", "run", "job/tiny.yaml", "models.m.arch=mlp, vit"),
        *("--store", "s3://b/tiny", "engine.address=auto", "--wait", "--trust"),
    ]
    assert submission.name.startswith("sweeper-tiny-")
    assert submission.name != prepare(pack(job), [], "s3://b/tiny", {}).name


def test_an_address_that_is_given_is_kept(job):
    command = prepare(pack(job), ["engine.address=local"], "/shared/tiny", {}).command
    assert "engine.address=auto" not in command


@pytest.mark.parametrize("store", [None, "runs/tiny", "~/tiny"])
def test_a_store_on_this_machine_is_refused(job, store):
    with pytest.raises(UsageError, match=f"the store {store or 'runs/tiny'} is a folder of this machine"):
        prepare(pack(job), [], store, {})


def test_the_store_of_the_job_is_used(job):
    job.write_text(job.read_text() + "store: gs://b/tiny\n")
    assert prepare(pack(job), [], None, {}).store == "gs://b/tiny"
