"""The training loop: batches by (seed, step), selection by video-level labels, exact resume.

One program trains all seeds of a run; what belongs to a seed alone is in members.py. Axis letter:
S seeds.
"""

import dataclasses
import gc
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, read_info, split_sizes
from refinevad_jax.data.batches import training_bags
from refinevad_jax.errors import NumericalError, StoppedError
from refinevad_jax.evaluation.scoring import Pooling, Scorer
from refinevad_jax.metrics.names import selection_metrics
from refinevad_jax.report.tables import spread
from refinevad_jax.runs.calibration import drop_later_calibration, write_calibration
from refinevad_jax.runs.checkpoints import DamagedError, TrainState
from refinevad_jax.runs.metric_rows import read_rows
from refinevad_jax.runtime import commands, processes
from refinevad_jax.runtime.stopping import StopRequest
from refinevad_jax.training import failures
from refinevad_jax.training.ahead import Ahead, begun
from refinevad_jax.training.calibration import FEWEST_VIDEOS, found_on_selection, in_words
from refinevad_jax.training.category_names import named, names_of
from refinevad_jax.training.losses import term_names
from refinevad_jax.training.members import (
    Member,
    check_workdir,
    extend,
    make_members,
    opened,
    restore,
    stack,
    to_train,
    unstack,
)
from refinevad_jax.training.normalization import standardized
from refinevad_jax.training.placement import on_host
from refinevad_jax.training.programs import MAX_STEPS_PER_DISPATCH
from refinevad_jax.training.transfer import check_transfer, transferred

# Below this the network has hardly begun to learn; a small data set has short epochs.
FEW_STEPS = 50
COMPILING = "compiling the training step (up to a minute, seconds if the cache has it)"


@processes.together()
def train(config: ConfigDict, workdir: pathlib.Path, trackers: Sequence[str] = ()) -> None:
    """Trains all seeds to the end, from the last checkpoint in workdir if there is one.

    trackers: names of runs.trackers.TRACKERS, which get the rows of metrics.jsonl too.
    Raises UserError for bad input, NumericalError at the first non-finite loss or gradient, and
    StoppedError if the process was asked to stop, after it has saved.
    """
    check_workdir(config, workdir)
    info = read_info(config.data.data_dir, config.data.dataset)
    ahead = begun(config, info, workdir)
    bags, members = make_members(config, info, workdir)
    names_of(members[0].run)  # without the encoder, nothing is written
    if any(not (member.workdir / "config.json").exists() for member in members):
        check_transfer(members[0].run)  # nor if parts of another run do not fit
    print(f"workdir: {workdir}", flush=True)
    columns = members[0].run.columns()
    stop = StopRequest()
    with stop.listening(), opened(workdir, members):
        going = to_train(members)
        if len(going) < len(members):
            print(f"{len(members) - len(going)} seeds are done, {len(going)} to train", flush=True)
        extend(going)
        Training(bags, going, columns, workdir, stop, trackers, ahead).run()


def next_command(config: ConfigDict, workdir: str) -> str:
    """The evaluation of a trained run, on its test split or else on a split that it has."""
    splits = list(split_sizes(config.data.data_dir, config.data.dataset))
    chosen = "val" if "val" in splits else splits[0]
    split = [] if "test" in splits else [f"--split={chosen}"]
    return commands.spell("evaluate", f"--workdir={workdir}", *split)


class Clock:
    """Steps per second and the time left, without the epoch in which programs are compiled."""

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps
        self._start: float | None = None

    def read(self, step: int) -> str:
        """In words, at the end of an epoch; "" for the first, which does not count."""
        if self._start is None:
            self._start, self._first = time.monotonic(), step
            return ""
        rate = (step - self._first) / max(time.monotonic() - self._start, 1e-9)
        left = (self._num_steps - step) / max(rate, 1e-9)
        words = f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s"
        return f"  {rate:.2f} steps/s  {words} left"


class Training:
    """The seeds of a run: their data, compiled functions, and their way through the epochs."""

    def __init__(
        self,
        bags: list[Bag],
        members: list[Member],
        columns: np.ndarray,
        workdir: pathlib.Path,
        stop: StopRequest,
        trackers: Sequence[str] = (),
        ahead: Ahead | None = None,
    ) -> None:
        """ahead: what was begun before the bags were read, if anything."""
        self._members, self._workdir, self._stop = members, workdir, stop
        self._columns, self._trackers = columns, trackers
        run = members[0].run
        config = self._config = run.config
        seeds = [member.seed for member in members]
        reached = min(max(member.checkpoints.steps(), default=0) for member in members)
        self._bags = training_bags(
            bags,
            config.data.num_segments,
            self._columns,
            held_out=[member.held_out for member in members],
        )
        self._steps_per_epoch = self._epoch_length()
        self._num_steps = self._steps_per_epoch * config.train.num_epochs
        if ahead is None or not ahead.fits(seeds, self._bags.list_shape):
            ahead = Ahead(run, seeds, self._bags.list_shape)
        # The step takes seconds to compile, while states are made and bags resampled.
        if reached < self._num_steps:
            ahead.compile()
        if not reached:
            ahead.make_states()
        self._ahead, self._dispatch, self._abstract = ahead, ahead.dispatch, ahead.abstract
        self._compiling = ahead.program
        self._scorer = Scorer(ahead.graphdef, pooling=Pooling.of(config.loss))
        self._dispatch.take(self._bags, self._num_steps)
        self._describe(len(bags) - len(members[0].held_out))

    def _epoch_length(self) -> int:
        """Steps of an epoch, the same in all calls of a run, also if it grows by epochs."""
        for row in reversed(read_rows(self._members[0].workdir / "metrics.jsonl")):
            if "epoch" in row:
                return row["step"] // row["epoch"]
        train = self._config.train
        return max(
            self._bags.steps_per_epoch(train.batch_size), -(-train.min_steps // train.num_epochs)
        )

    def _fresh_states(self) -> TrainState:
        """The states before the first step; those made ahead are given once, to be donated."""
        made, self._ahead.states = self._ahead.states, None
        states = made.result() if made else self._ahead.fresh_states()
        run = self._members[0].run
        states = standardized(states, self._bags, run.model_config)
        states = named(states, run)
        if not self._config.transfer.workdir:
            return states
        found = []
        for index, member in enumerate(self._members):
            params, note = transferred(unstack(states.params, index), member.run)
            found.append(params)
            if member is self._members[0]:
                print(f"transfer {note}", flush=True)
        return dataclasses.replace(states, params=stack(found))

    def _first_state(self) -> TrainState:
        """The state of the last checkpoint, or before the first step."""
        state = restore(self._members, self._abstract)
        return self._fresh_states() if state is None else state

    def run(self) -> None:
        """Trains from the last checkpoint to the end."""
        if self._compiling:
            print(f"{COMPILING}, then the first step", flush=True)
        self._bags = self._dispatch.bags  # resampled while the programs are compiled
        state = self._first_state()
        start = int(state.step[0])
        if start:
            print(f"continuing from step {start} of {self._num_steps}", flush=True)
        for member in self._members:
            member.checkpoints.drop_after(start)
            member.start_record(start, self._trackers)
            if processes.primary():
                drop_later_calibration(member.workdir, start)
        state = self._dispatch.place(state)
        clock = Clock(self._num_steps)
        for epoch in range(start // self._steps_per_epoch, self._config.train.num_epochs):
            state, metrics = self._epoch(state, epoch)
            selections = self._finish_epoch(state, metrics, epoch + 1)
            self._print_epoch(epoch + 1, metrics, selections, clock)
        for member in self._members:
            self._print_end(member)
            self._calibrate(member)

    def _epoch(self, state: TrainState, epoch: int) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Runs the steps of an epoch, or what is left of it. Returns metrics as arrays [S, steps].

        A stop comes between two dispatches. One program makes them all, so that their lengths
        change no number; the first has one step.
        """
        parts: list[dict[str, np.ndarray]] = []
        start = first = int(on_host(state.step)[0])
        last = (epoch + 1) * self._steps_per_epoch
        while first < last:
            if processes.any_of(bool(self._stop.signal)):
                self._save_and_stop(state, parts, start)
            count = 1 if self._compiling else min(last - first, MAX_STEPS_PER_DISPATCH)
            state, metrics = self._run_steps(state, first, count)
            found = failures.first_failure(metrics, first)
            if found:
                self._stop_at(*found)
            parts.append(metrics)
            first += count
        return state, _joined(parts)

    def _run_steps(
        self, state: TrainState, first: int, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """`Dispatch.run`; the first one of a call waits for its program, and says how long."""
        if not self._compiling:
            return self._dispatch.run(state, first, count)
        self._compiling.result()
        start = time.monotonic()
        result = self._dispatch.run(state, first, count)
        print(
            f"first step done: {start - self._ahead.began:.0f} s to compile and to read bags, "
            f"{time.monotonic() - start:.2f} s to run; an epoch has {self._steps_per_epoch}",
            flush=True,
        )
        self._compiling = None
        if not gc.isenabled():  # by the command: its objects up to here are never looked at
            gc.freeze()
            gc.enable()
        return result

    def _save_and_stop(
        self, state: TrainState, parts: list[dict[str, np.ndarray]], start: int
    ) -> None:
        """Saves what was done of an epoch since a step. Raises StoppedError."""
        step = int(on_host(state.step)[0])
        for index, member in enumerate(self._members if parts else ()):
            member.record.write(_rows(_joined(parts), index, start))
            member.checkpoints.save(unstack(state, index), None)
        where = f"at step {step} of {self._num_steps}, saved" if step else "before the first step"
        raise StoppedError(f"{self._stop.signal} {where}; run the same command again to go on")

    def _finish_epoch(
        self, state: TrainState, metrics: dict[str, np.ndarray], epoch: int
    ) -> list[dict[str, float]]:
        """Records an epoch and saves a checkpoint of every seed. Returns what selects them."""
        step = epoch * self._steps_per_epoch
        first = step - metrics["loss"].shape[1]
        probe = self._dispatch.probe(state, step)
        selections = []
        for index, member in enumerate(self._members):
            own = unstack(state, index)
            selection = self._select(own.params, member.selection) | {"step": float(step)}
            rows = _rows(metrics, index, first)
            last = {**selection, "step": step, "epoch": epoch}
            last |= {name: float(value[index]) for name, value in probe.items()}
            member.record.write([*rows, last])
            member.checkpoints.save(own, selection)
            selections.append(selection)
        return selections

    def _stop_at(self, index: int, step: int, term: str, value: float) -> None:
        """Keeps what reproduces a failed step. Raises NumericalError."""
        member = self._members[index]
        kept = member.checkpoints.steps()
        last = f"step {max(kept)} in {member.workdir}" if kept else "none"
        features, labels = unstack(self._dispatch.batch(step), index)
        if not np.isfinite(features).all():
            term, value = "features", float(features[~np.isfinite(features)][0])
        failure = failures.Failure(
            member.run,
            step,
            term,
            value,
            unstack(self._state_before(step), index),
            features,
            labels,
        )
        raise NumericalError(
            f"step {step + 1}: {term} is {value} with seed {member.seed}; last good checkpoint: "
            f"{last}; {failures.keep(failure, member.workdir)}; check the data with "
            f"'{commands.spell('check')}' or lower config.optimizer.learning_rate"
        )

    def _state_before(self, step: int) -> TrainState:
        """The state that a step started from, computed again: everything follows from the seed."""
        state = self._dispatch.place(self._first_state())
        first = int(on_host(state.step)[0])
        while first < step:
            in_epoch = self._steps_per_epoch - first % self._steps_per_epoch
            count = min(step - first, in_epoch, MAX_STEPS_PER_DISPATCH)
            state, _ = self._dispatch.run(state, first, count)
            first += count
        return state

    def _select(self, params: Any, selection: list[Bag]) -> dict[str, float]:
        """Video-level metrics of the selection list at the training resolution."""
        results = self._scorer(
            params,
            selection,
            columns=self._columns,
            num_segments=self._config.data.num_segments,
        )
        return selection_metrics(
            np.stack([bag.labels for bag in selection]),
            np.array([result.video_score for result in results]),
            np.stack([result.category_probs for result in results]),
        )

    def _selection_name(self) -> str:
        data = self._config.data
        held_out = " (held out of it)" if data.selection_split == data.train_split else ""
        return f"{len(self._members[0].selection)} videos of {data.selection_split!r}{held_out}"

    def _selection_kinds(self) -> tuple[int, int]:
        """Normal and anomalous videos of the selection list, as many for every seed."""
        num_anomalous = sum(bag.anomalous for bag in self._members[0].selection)
        return len(self._members[0].selection) - num_anomalous, num_anomalous

    def _records(self) -> pathlib.Path:
        """Where metrics.jsonl lies."""
        folder = self._members[0].workdir
        return (folder if folder == self._workdir else self._workdir / "seed*") / "metrics.jsonl"

    def _describe(self, num_videos: int) -> None:
        num_params = sum(leaf.size for leaf in jax.tree.leaves(self._abstract.params))
        bags, info = self._bags, self._members[0].run.info
        simulated = " (simulated)" if info.simulated else ""
        num_normal, num_anomalous = self._selection_kinds()
        few = min(num_normal, num_anomalous) < FEWEST_VIDEOS
        noise = ": with so few the choice of the checkpoint is noise" if few else ""
        metric = self._config.train.selection_metric
        rule = (
            "to calibrate by; the last step is taken" if metric == "step" else f"by {metric}{noise}"
        )
        seeds = [member.seed for member in self._members]
        print(
            f"data: {info.name}{simulated}, {num_videos} videos to train on "
            f"({bags.normal.shape[1]} normal, {bags.anomalous.shape[1]} anomalous), "
            f"T = {bags.features.shape[2]}, D = {bags.features.shape[3]}, "
            f"crops = {bags.features.shape[1]}\n"
            f"selection: {self._selection_name()}, {num_normal} normal and {num_anomalous} "
            f"anomalous, {rule}\n"
            f"model: {num_params:,} parameters"
            f"{f', {len(seeds)} seeds ({seeds[0]} to {seeds[-1]})' if len(seeds) > 1 else ''}; "
            f"{self._num_steps} steps of "
            f"{self._config.train.batch_size} videos on {self._dispatch.places.in_words}, bags "
            f"{self._dispatch.bags_in_words} "
            f"({bags.features.nbytes / 1e6:.0f} MB)\n"
            f"all loss terms, step by step: {self._records()} (docs/method.md, section 5)",
            flush=True,
        )
        if self._num_steps < FEW_STEPS:
            print(
                f"only {self._num_steps} training steps in total; use "
                f"--config.train.min_steps={2 * FEW_STEPS} for at least {2 * FEW_STEPS}",
                flush=True,
            )

    def _print_epoch(
        self,
        epoch: int,
        metrics: dict[str, np.ndarray],
        selections: list[dict[str, float]],
        clock: Clock,
    ) -> None:
        mean = {key: float(value.mean()) for key, value in metrics.items()}
        terms = ", ".join(f"{name} {mean[name]:.4f}" for name in term_names(mean))
        step = epoch * self._steps_per_epoch
        chosen = "  ".join(
            f"{key} {spread([selection[key] for selection in selections])}"
            for key in selections[0]
            if key != "step"
        )
        print(
            f"epoch {epoch}/{self._config.train.num_epochs}  step {step}  "
            f"loss {mean['loss']:.4f} ({terms})  {chosen}{clock.read(step)}",
            flush=True,
        )

    def _print_end(self, member: Member) -> None:
        metric = self._config.train.selection_metric
        best = member.checkpoints.resolve("best")
        value = member.checkpoints.steps()[best][metric]
        last = f"the last step, {best}, is taken"
        chosen = f"best step {best} with {metric} {value:.4f} on {self._selection_name()}"
        print(
            f"done: {self._num_steps} steps{f' of seed {member.seed}' * (len(self._members) > 1)}; "
            f"{last if metric == 'step' else chosen}",
            flush=True,
        )

    def _calibrate(self, member: Member) -> None:
        """Writes calibration.json of the best checkpoint, and says what it holds."""
        best = member.checkpoints.resolve("best")
        try:
            params = member.checkpoints.restore_params(best, self._abstract.params)
        except DamagedError as error:
            print(f"warning: not calibrated: {error}", file=sys.stderr, flush=True)
            return
        params = jax.tree.map(np.asarray, params)
        found = found_on_selection(member.run, self._scorer, params, best, member.selection)
        if processes.primary():
            write_calibration(member.workdir, found)
        print(in_words(found), flush=True)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Metrics of one dispatch after the other, [S, steps]."""
    return {key: np.concatenate([part[key] for part in parts], 1) for key in parts[0]}


def _rows(metrics: dict[str, np.ndarray], index: int, first: int) -> list[dict[str, float]]:
    """The rows of metrics.jsonl of one seed, for the steps after step number first."""
    steps = range(metrics["loss"].shape[1])
    return [
        {"step": first + i + 1, **{k: float(v[index, i]) for k, v in metrics.items()}}
        for i in steps
    ]
