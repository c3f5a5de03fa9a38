"""Cards of external networks: their cache, their copies in resolved jobs, and their use in plans."""

from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.errors import JobError, NetworkError
from sweeper.files import write_cached_text
from sweeper.plan.plan import Plan
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Cut, NetworkLayout
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.probed import Probed
from sweeper.spec.job.checks import family_findings
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, missing_networks, resolve, to_json

NAME = "torchvision:toy"
CARD = Probed(
    NAME, (1, 8, 8), 10, NetworkLayout((Cut("stem", 1, 0.5, (4, 8, 8), 10), Cut("a.b", 2, 0.5, (4,), 20)), 30, 40)
)
JOB = f"""
name: external
models:
  built_in: {{arch: resnet18k, width: 2, steps: 0}}
  external: {{arch: "{NAME}", steps: 0, seed: [0, 1]}}
stitch:
  - {{bottom: external, top: external, layers: all, where: a.seed != b.seed}}
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the cache folder to one that does not exist yet, and act as if torchvision had the network `toy`."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(family_findings, "library_misfit", lambda *_: None)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Write the job file and return its path."""
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_a_cached_card_is_read_only_for_the_same_network_image_shape_and_classes() -> None:
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None
    probed.cache_card(CARD)
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) == CARD
    assert probed.read_cached_card(NAME, (1, 8, 9), 10) is None
    assert probed.read_cached_card(NAME, (1, 8, 8), 11) is None
    assert probed.read_cached_card("timm:toy", (1, 8, 8), 10) is None


def test_a_card_of_another_version_of_the_library_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    probed.cache_card(CARD)
    monkeypatch.setattr(probed, "version", lambda library: "99.0")
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None


@pytest.mark.parametrize("content", ["", "[]", '{"cuts": [{}]}', "{"])
def test_an_incomplete_or_invalid_card_file_is_ignored(tmp_path: Path, content: str) -> None:
    probed.cache_card(CARD)
    (file,) = (tmp_path / "cache" / "networks").iterdir()
    whole = file.read_bytes()
    write_cached_text(file, content)
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None
    file.write_bytes(whole.replace(b'"flops": ', b'"flops": 1'))
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None


def test_the_error_of_an_unknown_network_names_the_command_that_makes_its_card(job: Path) -> None:
    with pytest.raises(NetworkError, match="sweeper cuts torchvision:toy --image 1x8x8 --classes 10"):
        Catalog().network(NAME, {}, (1, 8, 8), 10)
    sweep = load(job)
    assert missing_networks(sweep, sweep.data) == [(NAME, (1, 8, 8), 10, ())]
    with pytest.raises(NetworkError, match="sweeper cuts torchvision:toy"):
        Plan.of(sweep)


def test_a_resolved_job_carries_the_cards_it_needs(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_without_cards = load(job)
    probed.cache_card(CARD)
    sweep = resolve(sweep_without_cards)
    assert sweep.networks == load(job).networks == (CARD,)
    assert not missing_networks(sweep, sweep.data)
    text = to_json(sweep)
    monkeypatch.setenv("SWEEPER_CACHE", "/nowhere")
    plan = Plan.of(from_json(text))
    assert len(plan.ids()) == 3 + 2 * 2  # models, and two cuts in both directions
    assert from_json(text) == sweep


def test_each_plan_uses_the_cards_of_its_own_job(job: Path) -> None:
    probed.cache_card(CARD)
    sweep = load(job)
    first = Plan.of(sweep)
    seconds = sum(pack.seconds for pack in first.packs())
    costly = replace(CARD, network=replace(CARD.network, flops=30 * 10**9))
    second = Plan.of(sweep.model_copy(update={"networks": (costly,)}))
    assert sum(pack.seconds for pack in second.packs()) > 2 * seconds
    assert sum(pack.seconds for pack in first.packs()) == seconds
    with pytest.raises(NetworkError, match="sweeper cuts torchvision:toy"):
        Plan.of(sweep.model_copy(update={"networks": ()}))


def test_cuts_are_checked_against_the_card(job: Path) -> None:
    probed.cache_card(CARD)
    assert load(job, ["stitch.0.layers=a.b"]).stitch[0].layers == ("a.b",)
    with pytest.raises(JobError, match=r"torchvision:toy has no cut 'a\.c'; did you mean 'a\.b'"):
        load(job, ["stitch.0.layers=a.c"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("models.external.arch=mynets:net", "mynets:net runs code that is not part of Sweeper; --trust allows it"),
        ("models.external.width=3", "torchvision:toy has no setting 'width'"),
        ("networks=1", "unknown key; did you mean 'models'"),
    ],
)
def test_mistakes_in_a_job_with_an_external_network_are_refused(job: Path, override: str, message: str) -> None:
    with pytest.raises(JobError) as error_info:
        load(job, [override])
    assert message in str(error_info.value)
