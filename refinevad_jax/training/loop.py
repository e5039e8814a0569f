"""The training loop: batches by (seed, step), selection by video-level labels, exact resume.

One program trains all seeds of a run; what belongs to a seed alone is in members.py. Axis letter:
S seeds.
"""

import pathlib
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, read_info
from refinevad_jax.data.batches import training_bags
from refinevad_jax.errors import NumericalError
from refinevad_jax.evaluation.frame_metrics import average_precision, roc_auc
from refinevad_jax.evaluation.scoring import Scorer
from refinevad_jax.evaluation.video_metrics import category_accuracy
from refinevad_jax.model.refinevad import abstract, create
from refinevad_jax.training import members as members_lib
from refinevad_jax.training import step as step_lib
from refinevad_jax.training.checkpoints import abstract_state, fresh_state
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.members import Member, stack, unstack
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.transfer import transferred

# Steps of one dispatch; an epoch that is longer takes several.
MAX_STEPS_PER_DISPATCH = 25


def train(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Trains all seeds to the end, from the last checkpoint in workdir where there is one.

    Raises UserError for bad input and NumericalError at the first non-finite loss or gradient.
    """
    info = read_info(config.data.data_dir, config.data.dataset)
    bags, members = members_lib.make_members(config, info, workdir)
    members[0].run.columns()
    with members_lib.opened(workdir, members):
        Training(bags, members, workdir).run()


class Training:
    """The seeds of a run: their data, compiled functions, and their way through the epochs."""

    def __init__(self, bags: list[Bag], members: list[Member], workdir: pathlib.Path) -> None:
        self._members, self._workdir = members, workdir
        run = members[0].run
        config = self._config = run.config
        self._columns = run.columns()
        self._bags = training_bags(
            bags,
            config.data.num_segments,
            self._columns,
            held_out=[member.held_out for member in members],
        )
        self._steps_per_epoch = self._bags.steps_per_epoch(config.train.batch_size)
        self._num_steps = self._steps_per_epoch * config.train.num_epochs
        self._graphdef, shapes = abstract(run.model_config)
        self._optimizer = make_optimizer(
            OptimizerConfig(
                **config.optimizer.to_dict(),
                trainable_prototypes=config.train.trainable_prototypes,
            ),
            self._num_steps,
        )
        self._abstract = abstract_state(shapes, self._optimizer)
        self._scorer = Scorer(self._graphdef, top_k_divisor=config.loss.top_k_divisor)
        seeds = [member.seed for member in members]
        self._dispatch = Dispatch(config, seeds, self._graphdef, self._optimizer, self._bags)
        self._describe(len(bags) - len(members[0].held_out), shapes)

    def _fresh_state(self, member: Member) -> step_lib.TrainState:
        _, params = create(member.run.model_config, member.seed)
        params, note = transferred(params, member.run)
        if note and member is self._members[0]:
            print(f"transfer {note}", flush=True)
        return fresh_state(params, self._optimizer)

    def run(self) -> None:
        """Trains from the last checkpoint to the end."""
        state = members_lib.restore(self._members, self._abstract)
        if state is None:
            state = stack([self._fresh_state(member) for member in self._members])
        start = int(state.step[0])
        if start:
            print(f"continuing from step {start} of {self._num_steps}", flush=True)
        for member in self._members:
            member.start_record(start)
        state = self._dispatch.place(state)
        clock = Clock(start, self._num_steps)
        for epoch in range(start // self._steps_per_epoch, self._config.train.num_epochs):
            step = epoch * self._steps_per_epoch
            state, metrics = self._epoch(state, step)
            selections = self._finish_epoch(state, metrics, epoch + 1)
            self._print_epoch(epoch + 1, metrics, selections, clock)
        for member in self._members:
            self._print_end(member)
        print(f"next: python -m refinevad_jax.evaluate --workdir={self._workdir}", flush=True)

    def _epoch(
        self, state: step_lib.TrainState, first: int
    ) -> tuple[step_lib.TrainState, dict[str, np.ndarray]]:
        """Runs the steps of an epoch. Returns metrics as arrays [S, steps]."""
        parts = []
        last = first + self._steps_per_epoch
        while first < last:
            count = min(last - first, MAX_STEPS_PER_DISPATCH)
            state, metrics = self._dispatch.run(state, first, count)
            self._check_finite(metrics, first)
            parts.append(metrics)
            first += count
        return state, jax.tree.map(lambda *values: np.concatenate(values, 1), *parts)

    def _finish_epoch(
        self, state: step_lib.TrainState, metrics: dict[str, np.ndarray], epoch: int
    ) -> list[dict[str, float]]:
        """Records an epoch and saves a checkpoint of every seed. Returns what selects them."""
        step = epoch * self._steps_per_epoch
        first = step - self._steps_per_epoch
        probe = self._dispatch.probe(state, step)
        selections = []
        for index, member in enumerate(self._members):
            own = unstack(state, index)
            selection = self._select(own.params, member.selection)
            rows = [
                {"step": first + i + 1, **{k: float(v[index, i]) for k, v in metrics.items()}}
                for i in range(self._steps_per_epoch)
            ]
            last = {"step": step, "epoch": epoch, **selection}
            last |= {name: float(value[index]) for name, value in probe.items()}
            member.record.write([*rows, last])
            member.checkpoints.save(own, selection)
            selections.append(selection)
        return selections

    def _check_finite(self, metrics: dict[str, np.ndarray], first: int) -> None:
        for term in ("mil", "category", "smoothing", "loss", "gradient_norm"):
            bad = np.argwhere(~np.isfinite(metrics[term]))
            if len(bad):
                index, offset = bad[np.argmin(bad[:, 1])]
                member = self._members[index]
                kept = member.checkpoints.steps()
                last = f"step {max(kept)} in {member.workdir}" if kept else "none"
                raise NumericalError(
                    f"step {first + offset + 1}: {term} is {metrics[term][index, offset]} with "
                    f"seed {member.seed}; last good checkpoint: {last}; check the data with "
                    "'python -m data_prep.check' or lower config.optimizer.learning_rate"
                )

    def _select(self, params: Any, selection: list[Bag]) -> dict[str, float]:
        """Video-level metrics of the selection list at the training resolution."""
        results = self._scorer(
            params,
            selection,
            columns=self._columns,
            num_segments=self._config.data.num_segments,
        )
        truth = np.array([bag.anomalous for bag in selection])
        scores = np.array([result.video_score for result in results])
        metrics = {
            "video_auc": roc_auc(truth, scores),
            "video_ap": average_precision(truth, scores),
        }
        if self._config.model.injection != "none":
            metrics["category_accuracy"] = category_accuracy(
                np.stack([result.category_probs for result in results]),
                np.stack([bag.labels for bag in selection]),
            )
        return metrics

    def _selection_name(self) -> str:
        data = self._config.data
        held_out = " (held out of it)" if data.selection_split == data.train_split else ""
        return f"{len(self._members[0].selection)} videos of {data.selection_split!r}{held_out}"

    def _describe(self, num_videos: int, shapes: Any) -> None:
        num_params = sum(leaf.size for leaf in jax.tree.leaves(shapes))
        bags, info = self._bags, self._members[0].run.info
        simulated = " (simulated)" if info.simulated else ""
        seeds = [member.seed for member in self._members]
        print(
            f"data: {info.name}{simulated}, {num_videos} videos to train on "
            f"({bags.normal.shape[1]} normal, {bags.anomalous.shape[1]} anomalous), "
            f"T = {bags.features.shape[2]}, D = {bags.features.shape[3]}, "
            f"crops = {bags.features.shape[1]}\n"
            f"selection: {self._selection_name()}, by {self._config.train.selection_metric}\n"
            f"model: {num_params:,} parameters"
            f"{f', {len(seeds)} seeds ({seeds[0]} to {seeds[-1]})' if len(seeds) > 1 else ''}; "
            f"{self._num_steps} steps of "
            f"{self._config.train.batch_size} videos on {jax.devices()[0].device_kind}, bags "
            f"{'on the device' if self._dispatch.resident else 'on the host'} "
            f"({bags.num_bytes / 1e6:.0f} MB)",
            flush=True,
        )

    def _print_epoch(
        self,
        epoch: int,
        metrics: dict[str, np.ndarray],
        selections: list[dict[str, float]],
        clock: "Clock",
    ) -> None:
        mean = {key: float(value.mean()) for key, value in metrics.items()}
        step = epoch * self._steps_per_epoch
        chosen = "  ".join(
            f"{key} {in_words([selection[key] for selection in selections])}"
            for key in selections[0]
        )
        print(
            f"epoch {epoch}/{self._config.train.num_epochs}  step {step}  "
            f"loss {mean['loss']:.4f} (mil {mean['mil']:.4f}, category {mean['category']:.4f}, "
            f"smoothing {mean['smoothing']:.4f})  {chosen}  "
            f"shift {mean['shift_mean']:.1f}±{mean['shift_spread']:.1f} "
            f"span {mean['shift_span']:.1f}  H(w) {mean['weight_entropy']:.2f}  "
            f"{clock.read(step)}",
            flush=True,
        )

    def _print_end(self, member: Member) -> None:
        metric = self._config.train.selection_metric
        best = member.checkpoints.resolve("best")
        value = member.checkpoints.steps()[best][metric]
        print(
            f"done: {self._num_steps} steps{f' of seed {member.seed}' * (len(self._members) > 1)}; "
            f"best step {best} with {metric} {value:.4f} on {self._selection_name()}",
            flush=True,
        )


def in_words(values: list[float]) -> str:
    """One number, or mean ± standard deviation of several."""
    mean = f"{np.mean(values):.3f}"
    return f"{mean}±{np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


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
