"""Tests of training: repeatable to the bit, independent of global random state, and with known results."""

import itertools
import math

import pytest
import torch
from support.training_runs import DIGITS, training_run

from sweeper.spec.records.task import TrainingRun
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.network import Images, score
from sweeper.trials.networks.state_dicts import to_bytes
from sweeper.trials.training.train import Trained, decay, rate, train


@pytest.fixture(scope="module")
def images() -> Images:
    return Images.from_dataset(load_dataset(DIGITS), torch.device("cpu"))


def _blobs(run: TrainingRun, at_steps: list[int], images: Images) -> dict[int, bytes]:
    return {trained.step: to_bytes(trained.network) for trained in train(run, at_steps, images)}


def _error(trained: Trained, images: Images) -> float:
    return score(trained.network.eval(), images.test_batches()).error


def test_the_same_run_gives_the_same_weights_bit_for_bit(images: Images) -> None:
    first = _blobs(training_run(augment="crop_flip"), [6], images)
    torch.rand(3)
    assert _blobs(training_run(augment="crop_flip"), [6], images) == first
    changes = [{"seed": 1}, {"label_noise": 0.5}, {"samples": 60}, {"lr": 0.06}, {"augment": "none"}]
    for change in (*changes, {"label_smoothing": 0.1}, {"warmup": 0.5}, {"shards": 2, "samples": 600}):
        assert _blobs(training_run(**({"augment": "crop_flip"} | change)), [6], images) != first


def test_a_run_passes_through_the_same_models_wherever_it_is_stopped(images: Images) -> None:
    weights_of_one_run = _blobs(training_run(), [2, 4, 6], images)
    assert list(weights_of_one_run) == [2, 4, 6]
    assert len(set(weights_of_one_run.values())) == 3
    assert weights_of_one_run == {step: _blobs(training_run(), [step], images)[step] for step in (2, 4, 6)}


def test_the_global_generator_is_unchanged(images: Images) -> None:
    generator_state = torch.random.get_rng_state()
    _blobs(training_run(augment="crop_flip"), [2], images)
    assert torch.equal(torch.random.get_rng_state(), generator_state)


def test_a_run_of_no_steps_gives_the_initial_weights(images: Images) -> None:
    run = training_run(steps=0, samples=0, batch=0, lr=0.0, momentum=0.0, weight_decay=0.0, schedule="none", seed=9)
    (trained,) = train(run, [0], images)
    assert (trained.step, trained.train_loss, list(trained.curve)) == (0, None, [])
    assert to_bytes(trained.network) == to_bytes(build("resnet18k", {"width": 4}, DIGITS.shape, 10, seed=9))


def test_further_training_does_not_change_a_model_already_taken(images: Images) -> None:
    runs = train(training_run(), [2, 6], images)
    early = next(runs)
    weights_when_taken = to_bytes(early.network)
    list(runs)
    assert to_bytes(early.network) == weights_when_taken


def test_a_curve_covers_the_run_in_at_most_a_hundred_points(images: Images) -> None:
    (trained,) = train(training_run(arch="myrtle", options=(("width", 1),), steps=250), [250], images)
    steps = [point.step for point in trained.curve]
    assert steps[-1] == 250
    assert 50 <= len(steps) <= 100
    assert all(a < b for a, b in itertools.pairwise(steps))
    assert {point.split for point in trained.curve} == {"train"}
    assert all(0 <= point.error <= 100 for point in trained.curve if point.error is not None)
    assert trained.train_loss == trained.curve[-1].loss < trained.curve[0].loss


def test_the_curve_of_a_model_does_not_depend_on_the_other_requested_steps(images: Images) -> None:
    run = training_run(arch="myrtle", options=(("width", 1),), steps=500)
    model_by_step = {trained.step: trained for trained in train(run, [7, 8, 13], images)}
    for step in (7, 8, 13):  # a point every 5 steps, and one where the model is taken
        (model,) = train(run, [step], images)
        assert model_by_step[step].curve == model.curve
        assert model_by_step[step].train_loss == model.train_loss
        assert model.curve[-1].step == step
    assert [point.step for point in model_by_step[13].curve] == [5, 10, 13]


def test_schedules_have_the_documented_factors() -> None:
    assert [decay("constant", p) for p in (0, 0.5, 0.99)] == [1, 1, 1]
    assert [decay("step", p) for p in (0, 0.499, 0.5, 0.749)] == [1, 1, 0.2, 0.2]
    assert decay("step", 48 / 64) == pytest.approx(0.04)
    assert decay("cosine", 0) == 1
    assert decay("cosine", 0.5) == pytest.approx(0.5)
    assert decay("cosine", 1 - 1e-6) == pytest.approx(0, abs=1e-9)
    assert decay("one_cycle", 0) == pytest.approx(1 / 25)
    assert decay("one_cycle", 0.15) == pytest.approx((1 / 25 + 1) / 2)
    assert decay("one_cycle", 0.3) == 1
    assert decay("one_cycle", 0.65) == pytest.approx(0.5)
    assert decay("one_cycle", 1 - 1e-6) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="no schedule 'linear'; there are constant, step, cosine, one_cycle"):
        decay("linear", 0.5)


def test_the_step_schedule_equals_that_of_bansal_et_al() -> None:
    """Check the learning rate: 0.05, multiplied by 0.2 at 32K and at 48K of 64K steps."""
    run = training_run(steps=64_000, lr=0.05, schedule="step")
    at = {step: rate(run, step) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)}
    assert list(at.values()) == pytest.approx([0.05, 0.05, 0.01, 0.01, 0.002, 0.002])


def test_a_warm_up_rises_linearly_and_does_not_shift_the_schedule() -> None:
    plain, warm = training_run(steps=100, lr=1.0), training_run(steps=100, lr=1.0, warmup=0.1)
    assert [rate(warm, step) for step in range(10)] == pytest.approx([n / 10 for n in range(1, 11)])
    assert [rate(warm, step) for step in range(10, 100)] == [rate(plain, step) for step in range(10, 100)]
    assert rate(training_run(steps=3, lr=1.0, warmup=0.1), 0) == 1.0, "a warm-up shorter than a step has no effect"


def test_each_step_has_the_learning_rate_of_the_schedule(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    applied_rates: list[float] = []
    step = torch.optim.SGD.step

    def recorded_step(optimizer: torch.optim.SGD, *arguments: object) -> object:
        applied_rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded_step)
    run = training_run(schedule="one_cycle", warmup=0.5)
    list(train(run, [6], images))
    assert applied_rates == [rate(run, step) for step in range(6)]


def test_label_smoothing_mixes_in_the_uniform_target(images: Images) -> None:
    """Check the loss: (1 - e) times the cross-entropy plus e times the mean negative log probability of all classes."""
    (trained,) = train(training_run(steps=1, label_smoothing=0.3), [1], images)
    network = build("resnet18k", {"width": 4}, DIGITS.shape, 10).to(memory_format=torch.channels_last)
    from sweeper.trials.training.train import _stream

    x, y = _stream(training_run(steps=1), images).batch(0)
    logs = torch.log_softmax(network(x), 1)
    expected = -0.7 * logs[range(len(y)), y].mean() - 0.3 * logs.mean()
    assert trained.train_loss == pytest.approx(float(expected.detach()), rel=1e-5)


def test_two_steps_equal_a_reference_implementation_of_sgd(images: Images) -> None:
    """Recompute two steps with momentum and weight decay in plain tensor arithmetic."""
    run = training_run(steps=2, schedule="constant", lr=0.1, weight_decay=0.01)
    (trained,) = train(run, [2], images)
    from sweeper.trials.training.train import _stream

    model = build(run.arch, run.options, DIGITS.shape, 10, seed=run.seed).to(memory_format=torch.channels_last)
    velocity = [torch.zeros_like(weights) for weights in model.parameters()]
    stream = _stream(run, images)
    for step in range(2):
        x, y = stream.batch(step)
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for weights, v in zip(model.parameters(), velocity, strict=True):
                assert weights.grad is not None
                v.mul_(0.9).add_(weights.grad + 0.01 * weights)
                weights.sub_(0.1 * v)
    for weights, reference_weights in zip(trained.network.parameters(), model.parameters(), strict=True):
        assert torch.allclose(weights, reference_weights, rtol=1e-3, atol=1e-4)


def test_a_diverging_run_raises_floating_point_error(images: Images) -> None:
    with pytest.raises(FloatingPointError, match="the training loss is"):
        list(train(training_run(steps=40, lr=1e6, schedule="constant"), [40], images))


def test_digits_are_learned(images: Images) -> None:
    """Train a Myrtle CNN, which is four times as fast as the ResNet of the slow test."""
    (trained,) = train(training_run(arch="myrtle", options=(("width", 8),), steps=100, batch=64), [100], images)
    assert _error(trained, images) < 10


def test_training_on_shuffled_labels_gives_chance_error(images: Images) -> None:
    """Replace each label with probability 0.9 by one of the nine others, so that all labels are equally likely."""
    run = training_run(arch="myrtle", options=(("width", 8),), steps=100, batch=64, label_noise=0.9)
    (trained,) = train(run, [100], images)
    # 90 % are expected of 450 images: allow 6 standard deviations of a binomial share.
    assert abs(_error(trained, images) - 90) < 600 * math.sqrt(0.09 / 450)


@pytest.mark.slow
def test_the_resnet_learns_digits_in_200_steps(images: Images) -> None:
    of_100_images, of_1200_images = (
        next(train(training_run(options=(("width", 16),), steps=200, batch=128, samples=samples), [200], images))
        for samples in (100, 1200)
    )
    assert _error(of_1200_images, images) < 10
    assert _error(of_100_images, images) > _error(of_1200_images, images) + 4


@pytest.mark.slow
def test_the_resnet_learns_nothing_from_shuffled_labels(images: Images) -> None:
    run = training_run(options=(("width", 16),), steps=200, batch=128, label_noise=0.9)
    (trained,) = train(run, [200], images)
    assert abs(_error(trained, images) - 90) < 600 * math.sqrt(0.09 / 450)
