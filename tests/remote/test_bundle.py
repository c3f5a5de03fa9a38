"""Tests of the files that are packed for a cluster."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from sweeper.errors import SetupError, UsageError
from sweeper.remote import bundle as bundles
from sweeper.remote.bundle import pack


def sent(job: Path, *overrides: str) -> set[str]:
    """Return the paths of the files that are sent, without those of Sweeper itself."""
    return {name for name in pack(job, overrides).files if not name.startswith("sweeper")}


def write(file: Path, text: str = "def net(num_classes): ...\n") -> Path:
    """Write a file and its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def network_job(job: Path, arch: str, more: str = "") -> Path:
    """Write a job with a network of the user's own."""
    return write(job, f"name: own\nmodels:\n  m: {{arch: '{arch}', samples: 100, steps: 1{more}}}\n")


def test_a_job_is_sent_as_it_is_written(job):
    bundle = pack(job, ["models.m.seed=3"])
    assert (bundle.job, bundle.files[bundle.job]) == ("job/tiny.yaml", job.read_bytes())
    assert "sweeper/__main__.py" in bundle.files
    assert sent(job) == {"job/tiny.yaml"}


def test_equal_files_give_equal_archives(job):
    first = pack(job)
    os.utime(job, (0, 0))
    assert pack(job).digest == first.digest
    job.write_text(job.read_text() + "# a comment\n")
    assert pack(job).digest != first.digest
    with zipfile.ZipFile(io.BytesIO(first.archive)) as archive:
        assert set(archive.namelist()) == set(first.files)


def test_the_code_of_a_network_is_sent_with_what_it_imports_and_keeps_its_place(job):
    write(job.parent / "my" / "nets.py", "import layers\nimport torch\ndef net(num_classes): ...\n")
    write(job.parent / "my" / "layers.py", "")
    write(job.parent / "my" / "unused.py", "")
    network_job(job, "my/nets.py:net")
    assert sent(job) == {"job/tiny.yaml", "job/my/nets.py", "job/my/layers.py"}


def test_code_above_the_job_keeps_its_place_as_well(job):
    write(job.parents[1] / "code" / "nets.py")
    network_job(job, "../code/nets.py:net")
    assert sent(job) == {"job/jobs/tiny.yaml", "job/code/nets.py"}
    assert pack(job).job == "job/jobs/tiny.yaml"


def test_a_linked_file_brings_the_modules_beside_its_target(job):
    write(job.parents[1] / "code" / "nets.py", "import layers\n")
    write(job.parents[1] / "code" / "layers.py", "")
    (job.parent / "nets.py").symlink_to(job.parents[1] / "code" / "nets.py")
    network_job(job, "nets.py:net")
    assert sent(job) == {"job/tiny.yaml", "job/nets.py", "job/layers.py"}


def test_a_users_stitcher_is_sent(job):
    write(job.parent / "maps.py", "CARD = 1\n")
    write(job, job.read_text().replace("steps: 20, where", "stitcher: maps.py:CARD, steps: 20, where"))
    assert sent(job) == {"job/tiny.yaml", "job/maps.py"}


def test_a_module_of_the_current_folder_is_sent_with_its_package_and_an_installed_one_is_expected(job, monkeypatch):
    monkeypatch.chdir(job.parents[1])
    write(Path("pack/__init__.py"), "")
    write(Path("pack/nets.py"))
    write(Path("pack/layers.py"), "")
    network_job(job, "pack.nets:net")
    assert sent(job) == {"job/tiny.yaml", "pack/__init__.py", "pack/nets.py", "pack/layers.py"}
    network_job(job, "numpy.linalg:norm")
    assert sent(job) == {"job/tiny.yaml"}
    assert "the module numpy.linalg" in pack(job).expected


def test_weights_beside_the_job_are_sent_and_those_of_the_cluster_are_expected(job):
    write(job.parent / "resnet.pt", "weights")
    network_job(job, "torchvision:resnet18", ", weights: [resnet.pt, /shared/resnet.pt]")
    assert sent(job) == {"job/tiny.yaml", "job/resnet.pt"}
    assert "the weights /shared/resnet.pt" in pack(job).expected
    with pytest.raises(UsageError, match=r"the weights absent.pt can't be sent: .*No such file"):
        pack(job, ["models.m.weights=absent.pt"])


@pytest.mark.parametrize("path", ["/shared/cifar", "~/cifar", "${CIFAR}/train"])
def test_a_data_set_is_expected_on_the_cluster(job, path):
    assert f"the data set {path}" in pack(job, [f"dataset.parquet={path}"]).expected


def test_a_data_set_beside_the_job_is_refused(job):
    with pytest.raises(
        UsageError, match=r"dataset.parquet: data/cifar is .* relative .* dataset.parquet=/shared/cifar"
    ):
        pack(job, ["dataset.parquet=data/cifar"])


def test_a_bundle_larger_than_a_job_server_takes_is_refused_with_its_largest_file(job, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_BYTES", 2_000_000)
    (job.parent / "net.pt").write_bytes(os.urandom(3_000_000))
    network_job(job, "torchvision:resnet18", ", weights: net.pt")
    with pytest.raises(SetupError, match=r"more than the 2 MB that a job server takes; put .*net.pt on the cluster"):
        pack(job)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "job.yaml")
    with pytest.raises(UsageError, match="not a regular file"):
        pack(tmp_path / "job.yaml")
