"""Cards of networks from elsewhere: kept, found again, carried by a resolved job, planned with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.errors import JobError, NetworkError
from sweeper.plan.plan import Plan
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Cut, NetworkLayout
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.probed import Probed
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, missing_networks, resolve, to_json

NAME = "torchvision:toy"
CARD = Probed(
    NAME, (1, 8, 8), 10, NetworkLayout((Cut("stem", 1, 0.5, (4, 8, 8), 10), Cut("a.b", 2, 0.5, (4,), 20)), 30, 40)
)
JOB = f"""
name: elsewhere
models:
  ours: {{arch: resnet18k, width: 2, steps: 0}}
  theirs: {{arch: "{NAME}", steps: 0, seed: [0, 1]}}
stitch:
  - {{bottom: theirs, top: theirs, layers: all, where: a.seed != b.seed}}
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the test an empty cache folder."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    return


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_what_is_kept_is_recalled_for_the_same_images_alone() -> None:
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None
    probed.cache_card(CARD)
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) == CARD
    assert probed.read_cached_card(NAME, (1, 8, 9), 10) is None
    assert probed.read_cached_card(NAME, (1, 8, 8), 11) is None
    assert probed.read_cached_card("timm:toy", (1, 8, 8), 10) is None


def test_another_version_of_the_library_is_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    probed.cache_card(CARD)
    monkeypatch.setattr(probed, "version", lambda library: "99.0")
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None


@pytest.mark.parametrize("content", ["", "[]", '{"cuts": [{}]}', "{"])
def test_a_torn_card_is_none(tmp_path: Path, content: str) -> None:
    probed.cache_card(CARD)
    (file,) = (tmp_path / "cache" / "networks").iterdir()
    file.write_text(content)
    assert probed.read_cached_card(NAME, (1, 8, 8), 10) is None


def test_an_unknown_network_says_how_it_is_learnt(job: Path) -> None:
    with pytest.raises(NetworkError, match="sweeper cuts torchvision:toy --image 1x8x8 --classes 10"):
        Catalog().network(NAME, {}, (1, 8, 8), 10)
    sweep = load(job)
    assert missing_networks(sweep, sweep.data) == [(NAME, (1, 8, 8), 10, ())]
    with pytest.raises(NetworkError, match="sweeper cuts torchvision:toy"):
        Plan.of(sweep)


def test_a_resolved_job_carries_the_cards_it_needs(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = load(job)
    probed.cache_card(CARD)
    sweep = resolve(without)
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
    ("override", "what"),
    [
        ("models.theirs.arch=mynets:net", "mynets:net runs code that is not part of Sweeper; --trust allows it"),
        ("models.theirs.width=3", "torchvision:toy has no setting 'width'"),
        ("networks=1", "unknown key; did you mean 'models'"),
    ],
)
def test_mistakes(job: Path, override: str, what: str) -> None:
    with pytest.raises(JobError) as caught:
        load(job, [override])
    assert what in str(caught.value)
