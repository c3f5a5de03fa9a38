"""Settings of every test: a temporary HOME, one thread for each numerical library, Ray's settings, the processes."""

import os
import random
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Set before torch and numpy's BLAS are loaded. One thread each, because tests share the cores with Ray's workers.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray starts its workers with niceness 15, and on a machine with other work such workers hardly run.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (the name that Ray reads)

# Hypothesis has no deadlines, because a busy machine is not a defect. `make test` tries the same examples each time, so
# that a new failure comes from a change of the code; `make test-all` tries new examples.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the global random generators before each test, so that a failure can be repeated."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set a temporary HOME, so that no test, nor a process that it starts, reads or writes the user's own files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SWEEPER_STORE", "RAY_ADDRESS"):
            patch.delenv(variable, raising=False)
        yield
