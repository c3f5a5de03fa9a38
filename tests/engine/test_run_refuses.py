"""Test that a sweep with mistakes is refused before the run takes a lease, writes a row or starts Ray."""

import pytest

from sweeper.engine.run import run
from sweeper.errors import JobError
from sweeper.spec.job.family import Family
from sweeper.spec.job.sweep import StitchSection, Sweep
from sweeper.store.store import Store


def test_all_mistakes_of_a_sweep_made_in_python_are_listed(tmp_path):
    families = {
        "one": Family(arch=("resnet18",), steps=(10,)),
        "two": Family(arch=("resnet18k",), samples=(5000,), steps=(10,)),
    }
    sweep = Sweep(name="wrong", models=families, stitch=(StitchSection(bottom=("one",), top=("three",)),))
    store = Store.open(str(tmp_path / "store"), create=True)
    with pytest.raises(JobError) as error_info:
        run(sweep, store)
    text = str(error_info.value)
    assert "did you mean 'resnet18k'?" in text
    assert "5000 samples" in text
    assert "no family 'three'" in text
    assert store.runs() == []
