"""Runs on a tiny data set: learning, exact resume, kills, both ways of feeding, faults."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from data_prep.dataset.write import write_dataset
from refinevad_jax import analysis
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.errors import NumericalError, UserError
from refinevad_jax.files.staged import locked
from refinevad_jax.runs.checkpoints import Checkpoints, restore
from refinevad_jax.runs.metric_rows import read_rows
from refinevad_jax.runs.run import read_run
from refinevad_jax.training import loop, optimizer
from refinevad_jax.training.dispatch import Dispatch
from tests.conftest import LONG, TAXONOMY, tiny_videos


def last_params(workdir: pathlib.Path) -> list[np.ndarray]:
    _, params, _ = restore(read_run(workdir), workdir, "last")
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def same_run(one: pathlib.Path, other: pathlib.Path) -> None:
    """Parameters and metrics are equal to the last bit."""
    for a, b in zip(last_params(one), last_params(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()


def test_training_learns_and_writes_its_record(trained: pathlib.Path) -> None:
    rows = read_rows(trained / "metrics.jsonl")
    steps = [row for row in rows if "loss" in row]
    epochs = [row for row in rows if "video_auc" in row]
    assert [row["step"] for row in steps] == list(range(1, 10))
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    assert steps[-1]["loss"] < steps[0]["loss"]
    needed = {"mil", "category", "smoothing", "shift_mean", "shift_span", "weight_entropy"}
    assert needed <= set(steps[0])
    assert {"train_score_with_label", "train_score_without_label"} <= set(epochs[0])
    content = json.loads((trained / "config.json").read_text())
    assert content["data"]["encoder"] == "random"


def test_the_same_seed_gives_the_same_run(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    loop.train(tiny_config, tmp_path / "again")
    same_run(trained, tmp_path / "again")


def test_a_finished_run_has_nothing_left_to_do(
    trained: pathlib.Path, tiny_config: ConfigDict, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "metrics.jsonl").read_bytes()
    loop.train(tiny_config, trained)
    assert "continuing from step 9 of 9" in capsys.readouterr().out
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_the_next_command_names_a_split_that_there_is(
    tiny_config: ConfigDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "python -m refinevad_jax.evaluate --workdir='a b'"
    assert loop.next_command(tiny_config, "a b") == command
    for splits, chosen in ((["train", "val"], "val"), (["train"], "train")):
        monkeypatch.setattr(loop, "split_sizes", lambda *_, names=splits: dict.fromkeys(names, 1))
        assert loop.next_command(tiny_config, "a b") == f"{command} --split={chosen}"


def test_an_interrupted_run_resumes_bit_for_bit(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped after an epoch's metrics are written but before its checkpoint is."""
    save = Checkpoints.save

    def interrupted(self: Checkpoints, state: object, metrics: dict[str, float]) -> None:
        if int(state.step) > 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        save(self, state, metrics)  # type: ignore[arg-type]

    monkeypatch.setattr(Checkpoints, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_config, tmp_path)
    assert read_rows(tmp_path / "metrics.jsonl")[-1]["step"] == 6
    monkeypatch.undo()
    loop.train(tiny_config, tmp_path)
    same_run(trained, tmp_path)


def command(config: ConfigDict, workdir: pathlib.Path) -> list[str]:
    """The command line of a run, with the tiny configuration as flags."""
    flags = [
        f"--config.{group}.{key}={value}"
        for group in ("data", "model", "train", "optimizer")
        for key, value in config[group].items()
        if value != ()
    ]
    file = pathlib.Path(__file__).parents[2] / "configs" / "ucf.py"
    main = [sys.executable, "-m", "refinevad_jax.main", f"--config={file}"]
    return [*main, f"--workdir={workdir}", *flags]


@pytest.mark.parametrize(
    ("kill_at", "sent", "code"),
    [
        *([("checkpoints/3", signal.SIGKILL, -signal.SIGKILL)] * LONG),
        ("checkpoints/6.orbax", signal.SIGKILL, -signal.SIGKILL),
        ("checkpoints/3.orbax", signal.SIGTERM, 75),
        *([("checkpoints/3", signal.SIGINT, 75)] * LONG),
    ],
)
def test_a_killed_run_resumes_bit_for_bit(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    kill_at: str,
    sent: signal.Signals,
    code: int,
) -> None:
    """Killed after a save, and as soon as anything of the next save is on the disk."""
    process = subprocess.Popen(
        command(tiny_config, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(str(path).startswith(str(tmp_path / kill_at)) for path in tmp_path.glob("*/*")):
            break
    os.kill(process.pid, sent)
    process.wait(timeout=60)
    assert process.returncode == code, "the run ended before it could be killed"
    loop.train(tiny_config, tmp_path)
    same_run(trained, tmp_path)
    assert not [path.name for path in (tmp_path / "checkpoints").iterdir() if "tmp" in path.name]


def test_bags_on_the_host_give_the_same_losses(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.device_limit_gb = 0.0
    loop.train(tiny_config, tmp_path)
    resident = [row["loss"] for row in read_rows(trained / "metrics.jsonl") if "loss" in row]
    streamed = [row["loss"] for row in read_rows(tmp_path / "metrics.jsonl") if "loss" in row]
    np.testing.assert_allclose(streamed, resident, rtol=2e-4)


def test_bags_in_files_give_the_same_run_as_on_the_host(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the last bit; the selection list stays in its files too."""
    tiny_config.data.device_limit_gb = 0.0
    tiny_config.train.num_epochs = 2
    loop.train(tiny_config, tmp_path / "host")
    tiny_config.data.host_limit_gb = 0.0
    loop.train(tiny_config, tmp_path / "files")
    same_run(tmp_path / "host", tmp_path / "files")
    printed = capsys.readouterr().out
    assert "bags on the host" in printed and "bags in their files" in printed
    check_printed(printed.splitlines(), tmp_path / "host")


def check_printed(lines: list[str], workdir: pathlib.Path) -> None:
    """What a run of two epochs of three steps says, from its first line on."""
    assert lines[0] == f"workdir: {workdir}"
    few = "12 videos of 'val', 6 normal and 6 anomalous, by video_auc: with so few the choice"
    assert few in lines[2]
    assert lines[4].startswith(f"all loss terms, step by step: {workdir / 'metrics.jsonl'}")
    assert lines[5] == (
        "only 6 training steps in total; use --config.train.min_steps=100 for at least 100"
    )
    assert lines[6].startswith("compiling the training step")
    done = r"first step done: \d+ s to compile and to read bags, \d+\.\d\d s to run; an epoch has 3"
    assert re.fullmatch(done, lines[7])
    terms = r"\(mil \d\.\d{4}, smoothing \d\.\d{4}, category \d\.\d{4}\)"
    metrics = terms + r"  video_auc 0\.\d{3}  video_ap 0\.\d{3}  category_accuracy 0\.\d{3}"
    assert re.fullmatch(rf"epoch 1/2  step 3  loss \d\.\d{{4}} {metrics}", lines[8])
    time = r"\d+\.\d\d steps/s  \d+ s left"
    assert re.fullmatch(rf"epoch 2/2  step 6  loss \d\.\d{{4}} {metrics}  {time}", lines[9])


def test_bfloat16_stays_near_float32_and_is_not_it(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.train.precision = "bfloat16"
    loop.train(tiny_config, tmp_path)
    exact = [row["loss"] for row in read_rows(trained / "metrics.jsonl") if "loss" in row]
    rounded = [row["loss"] for row in read_rows(tmp_path / "metrics.jsonl") if "loss" in row]
    np.testing.assert_allclose(rounded, exact, rtol=2e-2)
    assert rounded != exact


def test_a_non_finite_loss_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Dispatch.run

    def poisoned(self: Dispatch, state: object, first: int, count: int) -> object:
        state, metrics = run(self, state, first, count)  # type: ignore[arg-type]
        if first >= 3:
            metrics["category"] = np.full((1, count), np.nan)
        return state, metrics

    monkeypatch.setattr(Dispatch, "run", poisoned)
    with pytest.raises(NumericalError, match=r"step 4: category is nan with seed 0.*step 3 in "):
        loop.train(tiny_config, tmp_path)
    monkeypatch.undo()
    assert all(np.isfinite(leaf).all() for leaf in last_params(tmp_path))


def test_a_finished_run_goes_on_for_more_epochs(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At a constant rate it is the run of so many epochs to the last bit; the schedule makes it
    another, which is said."""
    monkeypatch.setattr(
        optimizer, "learning_rate_schedule", lambda config, _: lambda step: config.learning_rate
    )
    loop.train(tiny_config, tmp_path / "at once")
    tiny_config.train.num_epochs = 2
    loop.train(tiny_config, tmp_path / "grown")
    before = (tmp_path / "grown" / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    tiny_config.train.num_epochs = 3
    loop.train(tiny_config, tmp_path / "grown")
    same_run(tmp_path / "at once", tmp_path / "grown")
    assert (tmp_path / "grown" / "metrics.jsonl").read_bytes().startswith(before)
    assert read_run(tmp_path / "grown").config.train.num_epochs == 3
    kept = [Checkpoints(tmp_path / name, metric="video_auc") for name in ("at once", "grown")]
    assert kept[0].steps() == kept[1].steps()
    printed = capsys.readouterr().out
    assert "config.train.num_epochs grows from 2 to 3: the learning rate falls to 0" in printed
    assert "continuing from step 6 of 9" in printed
    tiny_config.train.num_epochs = 2
    with pytest.raises(
        UserError, match=r"config\.train\.num_epochs was 3 and is now 2; it may grow"
    ):
        loop.train(tiny_config, tmp_path / "grown")
    assert read_run(tmp_path / "grown").config.train.num_epochs == 3


def test_the_steps_at_least_make_longer_epochs_and_the_last_step_is_taken(
    tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    # A pass over the shorter list is 3 steps; 8 steps in two epochs are 4 each, also in a third.
    tiny_config.train.update(num_epochs=2, min_steps=8, selection_metric="step")
    loop.train(tiny_config, tmp_path / "run")
    kept = Checkpoints(tmp_path / "run", metric="step")
    assert list(kept.steps()) == [4, 8]
    assert kept.resolve("best") == 8
    tiny_config.train.num_epochs = 3
    loop.train(tiny_config, tmp_path / "run")
    epochs = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "epoch" in row]
    assert [row["step"] for row in epochs] == [4, 8, 12]
    assert Checkpoints(tmp_path / "run", metric="step").resolve("best") == 12


def test_the_clock_does_not_count_epochs_that_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 102.0, 104.0])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(now))
    clock = loop.Clock(400)
    assert clock.read(100) == ""
    assert clock.read(200) == "  50.00 steps/s  4 s left"
    assert clock.read(300) == "  50.00 steps/s  2 s left"


@pytest.mark.parametrize(("label", "kind"), [("Normal", "normal"), ("a", "anomalous")])
def test_videos_of_one_kind_are_refused_with_the_reason(
    label: str, kind: str, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    videos = [video for video in tiny_videos("train", 12, seed=1) if video.label in (label,)]
    info = BagsInfo("tiny", TAXONOMY, (Modality("visual", 24),), encoder="random")
    write_dataset(str(tmp_path / "data"), info, videos)
    tiny_config.data.update(data_dir=str(tmp_path / "data"), selection_split="train")
    reason = f"training videos are {kind}; multiple-instance learning needs both"
    with pytest.raises(UserError, match=reason):
        loop.train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_cannot_be_used_is_refused_before_the_data_is_read(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.data_dir = "nowhere"
    tiny_config.seed = 1
    with pytest.raises(UserError, match=r"config\.seed was 0 and is now 1"):
        loop.train(tiny_config, trained)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"run: cannot be written \(Not a directory\)"):
        loop.train(tiny_config, tmp_path / "file" / "run")


def test_a_workdir_of_another_run_is_refused(
    trained: pathlib.Path, tiny_config: ConfigDict
) -> None:
    tiny_config.optimizer.learning_rate = 1e-2
    with pytest.raises(UserError, match=r"config.optimizer.learning_rate was 0.003"):
        loop.train(tiny_config, trained)


def test_a_workdir_in_use_is_refused(tiny_config: ConfigDict, tmp_path: pathlib.Path) -> None:
    with locked(tmp_path), pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
        loop.train(tiny_config, tmp_path)


def test_a_missing_data_set_names_the_command_that_makes_it(
    tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.dataset = "other"
    with pytest.raises(UserError, match=r"data_prep.package --name=other"):
        loop.train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_modality_is_refused(tiny_config: ConfigDict, tmp_path: pathlib.Path) -> None:
    tiny_config.data.modalities = ("audio",)
    with pytest.raises(UserError, match=r"'audio' is not in data set 'tiny'"):
        loop.train(tiny_config, tmp_path)


def test_frozen_prototypes_and_one_modality(
    tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.modalities = ("text",)
    tiny_config.train.update(trainable_prototypes=False, num_epochs=1)
    loop.train(tiny_config, tmp_path)
    model = analysis.load_model(tmp_path, "last")
    assert model.config.modality_widths == (8,)
    from refinevad_jax.model.refinevad import create
    from refinevad_jax.training.step import parameters_key

    _, initial = create(model.config, parameters_key(0))
    np.testing.assert_array_equal(model.core.prototypes[...], initial["core"]["prototypes"])
