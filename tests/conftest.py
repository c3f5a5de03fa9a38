"""For every test: a HOME of its own session, one thread a library, and Ray without a word to anyone."""

import os
import random
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Before anything loads torch or numpy's BLAS: tests share their cores with each other and with Ray's workers.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

# A busy machine is no defect: no deadlines. `make test` tries the same examples each time, so that what fails is what
# changed; `make test-all` looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the global random generators before each test, so that a failure can be repeated."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches, tokens and settings go to a temporary HOME, also those of child processes; nothing reads the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SWEEPER_STORE", "RAY_ADDRESS"):
            patch.delenv(variable, raising=False)
        yield
