"""Tests of the files of Sweeper that are sent."""

import subprocess
import sys

from sweeper.distribution import version
from sweeper.remote.own_files import own_files
from sweeper.resources import job_names


def test_a_folder_with_the_files_is_a_sweeper_with_its_version_and_its_jobs(tmp_path):
    for name, content in own_files().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    script = "import sweeper, sweeper.distribution as d, sweeper.resources as r; print(r.__file__, d.version()); "
    process = subprocess.run(
        [sys.executable, "-c", script + "print(*r.job_names())"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = process.stdout.splitlines()
    assert first == f"{tmp_path}/sweeper/resources.py {version()}"
    assert second.split() == job_names()
    information = next(name for name in own_files() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {version()}\n" in own_files()[information].decode()


def test_no_compiled_file_is_sent():
    assert not [name for name in own_files() if "__pycache__" in name or name.endswith(".pyc")]
