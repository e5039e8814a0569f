"""The seeds of a run: each has its own workdir, held-out videos, checkpoints and metric rows.

W                with one seed, the workdir itself
W/seed0, ...     with several: each is a workdir as if the seed had been trained alone
"""

import contextlib
import copy
import dataclasses
import pathlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, BagsInfo, read_split
from refinevad_jax.data.batches import check_both_kinds
from refinevad_jax.data.hold_out import faults, hold_out
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import locked, require_writable
from refinevad_jax.runs.checkpoints import Checkpoints, DamagedError, TrainState
from refinevad_jax.runs.metric_rows import MetricWriter, read_rows
from refinevad_jax.runs.run import (
    Run,
    check_settings,
    extend_run,
    seed_workdir,
    seed_workdirs,
    write_run,
)
from refinevad_jax.runs.trackers import Tracker
from refinevad_jax.runtime import processes
from refinevad_jax.training.placement import on_host


@dataclasses.dataclass
class Member:
    """One seed: its run, the folder it writes to, and the videos that choose its checkpoint."""

    run: Run
    workdir: pathlib.Path
    selection: list[Bag]
    held_out: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.seed: int = self.run.config.seed

    def open(self) -> None:
        """Opens the checkpoints."""
        metric = self.run.config.train.selection_metric
        self.checkpoints = Checkpoints(self.workdir, metric=metric, writable=True)

    def is_done(self) -> bool:
        """Whether it was trained to its last epoch."""
        rows = read_rows(self.workdir / "metrics.jsonl")
        newest = max(self.checkpoints.steps(), default=0)
        ended = bool(rows) and rows[-1].get("epoch") == self.run.config.train.num_epochs
        return ended and rows[-1]["step"] == newest

    def start_record(self, step: int, trackers: Sequence[str] = ()) -> None:
        """Opens metrics.jsonl, which then ends at a step. trackers: get its rows too."""
        config, writable = self.run.config.to_dict(), processes.primary()
        self.record = MetricWriter(
            self.workdir / "metrics.jsonl",
            resumed_step=step,
            writable=writable,
            trackers=[Tracker(name, self.workdir, config) for name in trackers if writable],
        )


def check_workdir(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Raises UserError if the workdir holds another run or cannot be written, without the data."""
    if processes.primary():
        require_writable("workdir", workdir)
    for own, folder in seed_configs(config, workdir):
        check_settings(folder, own)


def make_members(
    config: ConfigDict, info: BagsInfo, workdir: pathlib.Path
) -> tuple[list[Bag], list[Member]]:
    """The training list of all seeds, as their networks take it, and one Member per seed.

    Raises UserError if a list has videos of one kind only, or if the workdir holds one seed and
    several are asked for, or the other way round.
    """
    data = config.data
    bags = _read(config, info, data.train_split)
    check_both_kinds(bags)
    from_train = data.selection_split == data.train_split
    selection = [] if from_train else _read(config, info, data.selection_split)
    median_segments = round(statistics.median(bag.num_segments for bag in bags))
    members, warnings = [], dict[str, None]()
    for own, folder in seed_configs(config, workdir):
        held_out = hold_out(bags, data.selection_fraction, own.seed) if from_train else frozenset()
        if from_train:
            selection = [bag for bag in bags if bag.video_id in held_out]
            warnings.update(dict.fromkeys(faults(bags, held_out)))
        _check_selection(selection, data.selection_split)
        run = Run(own, info, bags[0].features.shape[0], median_segments)
        members.append(Member(run, folder, selection, held_out))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    return bags, members


def _read(config: ConfigDict, info: BagsInfo, split: str) -> list[Bag]:
    """A split as the network takes it."""
    data, run = config.data, Run(config, info)
    bags = read_split(data.data_dir, data.dataset, split, memory_gb=data.host_limit_gb)
    if note := run.inputs_note(bags, split):
        print(note, flush=True)
    return run.inputs(bags)


def seed_configs(
    config: ConfigDict, workdir: pathlib.Path
) -> list[tuple[ConfigDict, pathlib.Path]]:
    """The configuration and the workdir of every seed.

    Raises UserError if the workdir holds several seeds and one is asked for, or the other way
    round.
    """
    several = config.num_seeds > 1
    if several and (workdir / "config.json").exists():
        raise UserError(
            f"{workdir} holds a run of one seed; choose another --workdir for "
            f"config.num_seeds={config.num_seeds}"
        )
    if not several and seed_workdirs(workdir) not in ([], [workdir]):
        raise UserError(f"{workdir} holds several seeds; choose another --workdir for a single one")
    found = []
    for seed in range(config.seed, config.seed + config.num_seeds):
        own = copy.deepcopy(config)
        own.update(seed=seed, num_seeds=1)
        found.append((own, seed_workdir(workdir, seed) if several else workdir))
    return found


@contextlib.contextmanager
def opened(workdir: pathlib.Path, members: Sequence[Member]) -> Iterator[None]:
    """Locks and opens the folders of all members."""
    with contextlib.ExitStack() as stack:
        if processes.primary():
            for folder in dict.fromkeys([workdir, *(member.workdir for member in members)]):
                stack.enter_context(locked(folder))
            for member in members:
                write_run(member.workdir, member.run)
        processes.wait("config.json is written")
        for member in members:
            member.open()
            stack.callback(member.checkpoints.close)
        yield


def extend(members: Sequence[Member]) -> None:
    """Records a larger number of epochs than the run began with, and says what it changes."""
    if not processes.primary():
        return
    now = members[0].run.config.train.num_epochs
    before = min([extend_run(member.workdir, now) for member in members])
    if before < now:
        print(
            f"config.train.num_epochs grows from {before} to {now}: the learning rate falls to 0 "
            f"at the end of epoch {now} now and no longer at that of epoch {before}, so the "
            f"result is not that of {now} epochs trained at once",
            flush=True,
        )


def restore(members: Sequence[Member], abstract: TrainState) -> TrainState | None:
    """The state of all seeds at the newest step that every one has kept; None if there is none.

    abstract gives the shapes of one seed; the state has a leading axis S. A damaged checkpoint is
    named, and the newest intact one is taken. Raises UserError if none is intact.
    """
    damaged = None
    for step in sorted(_common(members), reverse=True):
        try:
            states = [member.checkpoints.restore_state(step, abstract) for member in members]
        except DamagedError as error:
            damaged = error
            print(f"warning: {error}", file=sys.stderr, flush=True)
            continue
        if damaged:
            print(f"warning: going on from step {step} instead", file=sys.stderr, flush=True)
        return stack(states)
    if damaged:
        raise UserError(
            f"no checkpoint is intact, the last error: {damaged}; train again in a new workdir"
        ) from damaged
    return None


def to_train(members: Sequence[Member]) -> list[Member]:
    """The seeds that go on together: all, or those that were added to seeds that are done.

    Raises UserError if some would have to begin again because others have not begun.
    """
    if _together(members):
        return list(members)
    rest = [member for member in members if not member.is_done()]
    if rest and _together(rest):
        return rest
    if _common(members):  # what follows it is made again, as it was
        return list(members)
    reached = ", ".join(
        f"seed {member.seed} at {max(member.checkpoints.steps(), default=0)}" for member in members
    )
    raise UserError(
        f"{members[0].workdir.parent}: its seeds have come to different steps ({reached}) and "
        "cannot go on together; repeat the config.seed and config.num_seeds that they were trained "
        "with, or choose another --workdir"
    )


def _together(members: Sequence[Member]) -> bool:
    """Whether no seed is more than one save ahead, which a kill between two saves may leave."""
    common = max(_common(members), default=0)
    ahead = [[step for step in member.checkpoints.steps() if step > common] for member in members]
    return all(len(steps) <= 1 for steps in ahead)


def _common(members: Sequence[Member]) -> set[int]:
    """The steps that every seed has kept."""
    return set.intersection(*(set(member.checkpoints.steps()) for member in members))


def stack(trees: Sequence[Any]) -> Any:
    """Trees of arrays as one, with a leading axis S."""
    return jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *trees)


def unstack(tree: Any, index: int) -> Any:
    """The tree of one seed, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(on_host(leaf)[index]), tree)


def _check_selection(selection: list[Bag], split: str) -> None:
    kinds = {bag.anomalous for bag in selection}
    if len(kinds) < 2:
        kind = "anomalous" if kinds == {True} else "normal"
        raise UserError(
            f"config.data.selection_split={split!r}: the {len(selection)} videos to choose a "
            f"checkpoint by are all {kind}, and both kinds are needed; take another split, or "
            "package two or more normal and two or more anomalous training videos"
        )
