"""The training loop: batches by (seed, step), selection by video-level labels, exact resume.

Only this file moves arrays between host and device during training.
"""

import dataclasses
import math
import pathlib
import time
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from ml_collections import ConfigDict

from refinevad_jax import workdir as workdir_lib
from refinevad_jax.data.bags import Bag, read_info, read_split
from refinevad_jax.data.batches import TrainingBags, hold_out, training_bags
from refinevad_jax.errors import NumericalError, UserError
from refinevad_jax.evaluation.frame_metrics import average_precision, roc_auc
from refinevad_jax.evaluation.scoring import Scorer
from refinevad_jax.evaluation.video_metrics import category_accuracy
from refinevad_jax.model.refinevad import create
from refinevad_jax.training import step as step_lib
from refinevad_jax.training.checkpoints import Checkpoints, abstract_state
from refinevad_jax.training.metric_writer import MetricWriter
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer

# Steps of one dispatch; an epoch that is longer takes several.
MAX_STEPS_PER_DISPATCH = 25


def train(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Trains to the end, from the last checkpoint in workdir where there is one.

    Raises UserError for bad input and NumericalError at the first non-finite loss or gradient.
    """
    info = read_info(config.data.data_dir, config.data.dataset)
    run = workdir_lib.Run(config, info)
    run.columns()
    with workdir_lib.locked(workdir):
        workdir_lib.write_run(workdir, run)
        Training(run, workdir).run()


def read_bags(config: ConfigDict) -> tuple[list[Bag], list[Bag]]:
    """The training and the selection list. Raises UserError where one cannot do its job."""
    data = config.data
    bags = read_split(data.data_dir, data.dataset, data.train_split)
    if data.selection_split == data.train_split:
        bags, selection = hold_out(bags, data.selection_fraction, config.seed)
    else:
        selection = read_split(data.data_dir, data.dataset, data.selection_split)
    if len({bag.anomalous for bag in selection}) < 2:
        raise UserError(
            f"config.data.selection_split={data.selection_split!r}: its {len(selection)} videos "
            "are of one kind, a checkpoint cannot be chosen by them; take a split with normal and "
            "anomalous videos, or a larger config.data.selection_fraction"
        )
    return bags, selection


class Training:
    """One run: its data, its compiled functions, and its way through the epochs."""

    def __init__(self, run: workdir_lib.Run, workdir: pathlib.Path) -> None:
        config = self._config = run.config
        self._workdir = workdir
        self._columns = run.columns()
        train_list, self._selection = read_bags(config)
        self._bags = training_bags(train_list, config.data.num_segments, self._columns)
        self._steps_per_epoch = self._bags.steps_per_epoch(config.train.batch_size)
        self._num_steps = self._steps_per_epoch * config.train.num_epochs
        self._graphdef, params = create(run.model_config, config.seed)
        self._optimizer = make_optimizer(
            OptimizerConfig(
                **config.optimizer.to_dict(),
                trainable_prototypes=config.train.trainable_prototypes,
            ),
            self._num_steps,
        )
        self._initial = step_lib.TrainState(
            jax.numpy.zeros((), jax.numpy.int32), params, self._optimizer.init(params)
        )
        self._scorer = Scorer(self._graphdef, top_k_divisor=config.loss.top_k_divisor)
        self._dispatch = Dispatch(config, self._graphdef, self._optimizer, self._bags)
        self._describe(run, len(train_list))

    def run(self) -> None:
        """Trains from the last checkpoint to the end."""
        checkpoints = Checkpoints(
            self._workdir, metric=self._config.train.selection_metric, writable=True
        )
        state = self._initial
        if checkpoints.steps():
            last = checkpoints.resolve("last")
            state = checkpoints.restore_state(last, abstract_state(state.params, self._optimizer))
            print(f"continuing from step {last} of {self._num_steps}", flush=True)
        start = int(state.step)
        writer = MetricWriter(self._workdir / "metrics.jsonl", resumed_step=start)
        clock = Clock(start, self._num_steps)
        for epoch in range(start // self._steps_per_epoch, self._config.train.num_epochs):
            state, rows = self._epoch(state, checkpoints)
            selection = self._select(state)
            step = int(state.step)
            probe = self._dispatch.probe(state)
            writer.write([*rows, {"step": step, "epoch": epoch + 1, **selection, **probe}])
            checkpoints.save(state, selection)
            self._print_epoch(epoch + 1, rows, selection, clock.read(step))
        best = checkpoints.resolve("best")
        value = checkpoints.steps()[best][self._config.train.selection_metric]
        checkpoints.close()
        print(
            f"done: {self._num_steps} steps; best step {best} with "
            f"{self._config.train.selection_metric} {value:.4f} on "
            f"{self._selection_name()}\nnext: python -m refinevad_jax.evaluate "
            f"--workdir={self._workdir}",
            flush=True,
        )

    def _epoch(
        self, state: step_lib.TrainState, checkpoints: Checkpoints
    ) -> tuple[step_lib.TrainState, list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        remaining = self._steps_per_epoch
        while remaining:
            count = min(remaining, MAX_STEPS_PER_DISPATCH)
            first = int(state.step)
            state, metrics = self._dispatch.run(state, first, count)
            new = [
                {"step": first + i + 1, **{k: float(v[i]) for k, v in metrics.items()}}
                for i in range(count)
            ]
            self._check_finite(new, checkpoints)
            rows += new
            remaining -= count
        return state, rows

    def _check_finite(self, rows: list[dict[str, Any]], checkpoints: Checkpoints) -> None:
        for row in rows:
            for term in ("mil", "category", "smoothing", "loss", "gradient_norm"):
                if not math.isfinite(row[term]):
                    kept = checkpoints.steps()
                    last = f"step {max(kept)} in {self._workdir}" if kept else "none"
                    raise NumericalError(
                        f"step {row['step']}: {term} is {row[term]}; last good checkpoint: {last}; "
                        "check the data with 'python -m data_prep.check' or lower "
                        "config.optimizer.learning_rate"
                    )

    def _select(self, state: step_lib.TrainState) -> dict[str, float]:
        """Video-level metrics of the selection list at the training resolution."""
        results = self._scorer(
            state.params,
            self._selection,
            columns=self._columns,
            num_segments=self._config.data.num_segments,
        )
        truth = np.array([bag.anomalous for bag in self._selection])
        scores = np.array([result.video_score for result in results])
        metrics = {
            "video_auc": roc_auc(truth, scores),
            "video_ap": average_precision(truth, scores),
        }
        if self._config.model.injection != "none":
            metrics["category_accuracy"] = category_accuracy(
                np.stack([result.category_probs for result in results]),
                np.stack([bag.labels for bag in self._selection]),
            )
        return metrics

    def _selection_name(self) -> str:
        data = self._config.data
        held_out = " (held out of it)" if data.selection_split == data.train_split else ""
        return f"{len(self._selection)} videos of {data.selection_split!r}{held_out}"

    def _describe(self, run: workdir_lib.Run, num_videos: int) -> None:
        num_params = sum(leaf.size for leaf in jax.tree.leaves(self._initial.params))
        bags, simulated = self._bags, " (simulated)" if run.info.simulated else ""
        print(
            f"data: {run.info.name}{simulated}, {num_videos} videos to train on "
            f"({len(bags.normal)} normal, {len(bags.anomalous)} anomalous), "
            f"T = {bags.features.shape[2]}, D = {bags.features.shape[3]}, "
            f"crops = {bags.features.shape[1]}\n"
            f"selection: {self._selection_name()}, by {self._config.train.selection_metric}\n"
            f"model: {num_params:,} parameters; {self._num_steps} steps of "
            f"{self._config.train.batch_size} videos on {jax.devices()[0].device_kind}, bags "
            f"{'on the device' if self._dispatch.resident else 'on the host'} "
            f"({bags.num_bytes / 1e6:.0f} MB)",
            flush=True,
        )

    def _print_epoch(
        self, epoch: int, rows: list[dict[str, Any]], selection: dict[str, float], speed: str
    ) -> None:
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        chosen = "  ".join(f"{key} {value:.3f}" for key, value in selection.items())
        print(
            f"epoch {epoch}/{self._config.train.num_epochs}  step {rows[-1]['step']}  "
            f"loss {mean['loss']:.4f} (mil {mean['mil']:.4f}, category {mean['category']:.4f}, "
            f"smoothing {mean['smoothing']:.4f})  {chosen}  "
            f"shift {mean['shift_mean']:.1f}±{mean['shift_spread']:.1f} "
            f"span {mean['shift_span']:.1f}  H(w) {mean['weight_entropy']:.2f}  {speed}",
            flush=True,
        )


class Dispatch:
    """Runs steps with the bags on the device, or batch by batch from the host: same batches."""

    def __init__(
        self,
        config: ConfigDict,
        graphdef: nnx.GraphDef[Any],
        optimizer: optax.GradientTransformation,
        bags: TrainingBags,
    ) -> None:
        loss_config = step_lib.LossConfig(
            label_injection_rate=config.train.label_injection_rate, **config.loss.to_dict()
        )
        self._run_resident, self._run_batch, self._draw = step_lib.make_run_steps(
            graphdef=graphdef,
            optimizer=optimizer,
            config=loss_config,
            seed=config.seed,
            num_crops=bags.features.shape[1],
            batch_size=config.train.batch_size,
        )
        self._probe = step_lib.make_probe(graphdef, config.loss.top_k_divisor)
        self._bags = bags
        self._lists = jax.device_put((bags.normal, bags.anomalous))
        self.resident = bags.num_bytes <= config.data.device_limit_gb * 1e9
        if self.resident:
            self._resident_bags = jax.device_put(dataclasses.asdict(bags))

    def run(
        self, state: step_lib.TrainState, first: int, count: int
    ) -> tuple[step_lib.TrainState, dict[str, np.ndarray]]:
        """Runs count steps from step number first on. Returns metrics as arrays [count]."""
        if self.resident:
            state, metrics = self._run_resident(state, self._resident_bags, num_steps=count)
            return state, jax.device_get(metrics)
        rows = []
        for step in range(first, first + count):
            state, metrics = self._run_batch(state, *self._batch(step))
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values), *jax.device_get(rows))

    def probe(self, state: step_lib.TrainState) -> dict[str, float]:
        """Scores the next batch with and without e_y in v: the gap that only training sees."""
        metrics = self._probe(state.params, *self._batch(int(state.step)))
        return {name: float(value) for name, value in jax.device_get(metrics).items()}

    def _batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        videos, crops = jax.device_get(self._draw(step, *self._lists))
        return self._bags.features[videos, crops], self._bags.labels[videos]


class Clock:
    """Steps a second since the start of this call, and the time left."""

    def __init__(self, first_step: int, num_steps: int) -> None:
        self._start, self._first, self._num_steps = time.monotonic(), first_step, num_steps

    def read(self, step: int) -> str:
        """In words, at a step."""
        rate = (step - self._first) / max(time.monotonic() - self._start, 1e-9)
        left = (self._num_steps - step) / max(rate, 1e-9)
        return (
            f"{rate:.2f} steps/s  {left / 60:.0f} min left"
            if left >= 60
            else (f"{rate:.2f} steps/s  {left:.0f} s left")
        )
