"""Tests of the check of GPUs."""

import time

from sweeper.cli.checks import devices
from sweeper.cli.checks.check import FAILED, OK, WARNING


def test_the_devices_of_this_machine_are_in_order():
    check = devices.check_devices()
    assert check.state == OK
    assert "CPU cores" in check.details


def test_a_driver_whose_gpu_torch_does_not_see_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024")
    monkeypatch.setattr(devices, "DRIVER", driver)
    check = devices.check_devices()
    assert check.state == WARNING
    assert check.details.startswith("NVIDIA driver 550.54.15 is loaded, but torch")
    assert "CUDA_VISIBLE_DEVICES" in check.fix


def test_a_torch_that_hangs_or_crashes_is_ended_and_named(monkeypatch):
    monkeypatch.setattr(devices, "SECONDS", 1.0)
    monkeypatch.setattr(devices, "_ASK", "import time; time.sleep(60)")
    start = time.monotonic()
    assert devices.check_devices().details == "torch has not used the GPU within 1 s"
    assert time.monotonic() - start < 10
    monkeypatch.setattr(devices, "_ASK", "raise RuntimeError('CUDA error: no kernel image')")
    check = devices.check_devices()
    assert (check.state, check.details) == (FAILED, "torch fails: RuntimeError: CUDA error: no kernel image")
