"""The store's rows for results: trained models, stitches, similarity measures, learning curves and failures."""

import dataclasses
import json
import math
import resource
import sys
from collections.abc import Iterable
from statistics import mean, stdev

import torch

from sweeper.spec.cards.labels import format_labels
from sweeper.spec.cards.probes import find_same_cut, is_linear_probe
from sweeper.spec.cards.user_stitchers import card_with_builder
from sweeper.spec.records.rows import CurveRow, FailureRow, ModelRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Model, Options
from sweeper.spec.records.text import error_text, trace_text
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.networks.network import Network
from sweeper.trials.process.numerics import current_precision
from sweeper.trials.similarity.measures.evaluate import MeasurementResult
from sweeper.trials.stitching.stitched_network import FinishedStitch
from sweeper.trials.training.learning_curve import Point
from sweeper.trials.training.train import Trained


def as_json(options: Options) -> str:
    """Return options as the JSON text that a row holds."""
    return json.dumps(dict(options), sort_keys=True)


def peak_memory(device: torch.device) -> int:
    """Return the peak memory since the process began, in bytes: of the GPU, or on a CPU of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name(device: torch.device) -> str:
    """Return the device's name for a row, followed by the precision of training steps unless that is float32."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return name if current_precision() == "float32" else f"{name}, {current_precision()}"


def stitch_row(finished: FinishedStitch, a: Network, b: Network, device: torch.device) -> StitchRow:
    """Return the row of a stitch that did not fail."""
    stitch, stitched, score, direct = finished.stitch, finished.stitched, finished.score, finished.direct
    recipe, cut_a, cut_b = stitch.recipe, cut_of(stitch.a, stitch.cut_a), cut_of(stitch.b, stitch.cut_b)
    card = card_with_builder(recipe)
    same_architecture = stitch.a.training.arch == stitch.b.training.arch
    return StitchRow(
        task=stitch.id,
        device=device_name(device),
        seconds=stitched.seconds,
        peak_memory=peak_memory(device),
        a=stitch.a.id,
        b=stitch.b.id,
        a_weights=a.digest,
        b_weights=b.digest,
        cut_a=stitch.cut_a,
        cut_b=stitch.cut_b,
        position_a=cut_a.position,
        position_b=cut_b.position,
        depth_a=cut_a.depth,
        depth_b=cut_b.depth,
        stitcher=recipe.stitcher,
        options=as_json(recipe.options),
        protocol=recipe.protocol,
        data=recipe.data,
        data_digest=stitch.a.training.data.digest,
        seed=recipe.seed,
        max_steps=recipe.steps,
        batch=recipe.batch,
        lr=recipe.lr,
        augment=recipe.augment,
        stop=recipe.stop,
        sender=recipe.sender,
        train=recipe.train,
        parameters=sum(weights.numel() for weights in stitched.stitcher.parameters()),
        steps=stitched.steps_taken,
        converged=stitched.converged,
        stop_data=finished.stop_data,
        train_loss=stitched.train_loss,
        test_loss=score.loss,
        test_error=score.error,
        a_loss=a.score.loss,
        b_loss=b.score.loss,
        a_error=a.score.error,
        b_error=b.score.error,
        penalty=score.error - b.score.error,
        gain=b.score.error - score.error,
        direct_error=direct[0].error if direct else None,
        direct_loss=direct[0].loss if direct else None,
        direct_r2=direct[1] if direct else None,
        affine_top=cut_b.affine_top,
        probe_only=is_linear_probe(card, recipe.options, cut_b),
        same_as=find_same_cut(card, recipe.options, cut_a, cut_b) if same_architecture else None,
        drift=score.drift,
        agreement=score.agreement,
        correct=score.correct,
    )


def model_row(
    model: Model, network: Network, trained: Trained, seconds: float, device: torch.device, init_weights: str | None
) -> ModelRow:
    """Return the row of a trained model.

    Args:
        model: The task.
        network: The trained network.
        trained: Its results at the model's step.
        seconds: Wall time since the run's previous model, or since its start.
        device: Where it was trained.
        init_weights: Digest of the weights that the run started from; None for a random initialisation.
    """
    run = model.training
    width = model.option("width")
    return ModelRow(
        task=model.id,
        device=device_name(device),
        seconds=seconds,
        peak_memory=peak_memory(device),
        training=run.id,
        arch=run.arch,
        width=int(width) if isinstance(width, int | float) else None,
        options=as_json(run.options),
        parameters=sum(weights.numel() for weights in network.unfolded.parameters()),
        dataset=run.data.name,
        data_digest=run.data.digest,
        samples=run.samples,
        nested=run.nested,
        shards=run.shards,
        shard=run.shard,
        subset_seed=run.subset_seed,
        labels=format_labels(run.labels, run.data),
        label_noise=run.label_noise,
        label_noise_kind=run.label_noise_kind,
        label_smoothing=run.label_smoothing,
        seed=run.seed,
        steps=model.step,
        schedule_steps=run.steps,
        epochs=model.epochs,
        batch=run.batch,
        lr=run.lr,
        momentum=run.momentum,
        weight_decay=run.weight_decay,
        schedule=run.schedule,
        warmup=run.warmup,
        objective=run.objective,
        temperature=run.temperature or None,
        probe_steps=run.probe_steps,
        init=run.init.id if run.init else None,
        init_weights=init_weights,
        reset=run.reset,
        frozen=",".join(run.freeze),
        head=run.head,
        input=str(run.input) if run.input else None,
        augment=run.augment,
        weights=network.digest,
        train_loss=trained.train_loss,
        test_loss=network.score.loss,
        test_error=network.score.error,
        correct=network.score.correct,
    )


def curve_rows(task: str, curve: Iterable[Point], device: torch.device) -> list[CurveRow]:
    """Return the rows of a learning curve of a stitch or a training run; `task` is the id of the stitch or model."""
    return [
        CurveRow(task=task, device=device_name(device), step=p.step, split=p.split, loss=p.loss, error=p.error)
        for p in curve
    ]


def similarity_row(
    result: MeasurementResult, a: Network, b: Network, samples: int, device: torch.device
) -> SimilarityRow:
    """Return the row of a measurement that did not fail; `samples` is the number of images compared."""
    measurement, null = result.measurement, result.null
    cut_a, cut_b = cut_of(measurement.a, measurement.cut_a), cut_of(measurement.b, measurement.cut_b)
    return SimilarityRow(
        task=measurement.id,
        device=device_name(device),
        seconds=result.seconds,
        peak_memory=peak_memory(device),
        a=measurement.a.id,
        b=measurement.b.id,
        a_weights=a.digest,
        b_weights=b.digest,
        cut_a=measurement.cut_a,
        cut_b=measurement.cut_b,
        position_a=cut_a.position,
        position_b=cut_b.position,
        depth_a=cut_a.depth,
        depth_b=cut_b.depth,
        data_digest=measurement.a.training.data.digest,
        measure=measurement.measure,
        options=as_json(measurement.options),
        samples=samples,
        value=result.value,
        null_permutations=len(null) or None,
        null_mean=mean(null) if null else None,
        null_std=stdev(null) if len(null) > 1 else None,
    )


def check_rows(rows: Iterable[Row]) -> None:
    """Check that the numbers of a task's rows are finite.

    Raises:
        FloatingPointError: If one is not; the message names its column.
    """
    for row in rows:
        for field in dataclasses.fields(row):
            value = getattr(row, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise FloatingPointError(f"{field.name} of the row in {row.kind} is {value}")


def failure_row(task: str, of: str, error: Exception, device: torch.device) -> FailureRow:
    """Return the row of a task that failed; `of` is the kind of row that the task would have given."""
    return FailureRow(
        task=task,
        device=device_name(device),
        peak_memory=peak_memory(device),
        of=of,
        error=type(error).__name__,
        message=error_text(error),
        traceback=trace_text(error),
        final=False,
    )
