"""Rows reach the trackers, and a tracker that fails holds nothing up."""

import pathlib
import types
from typing import Any

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.runs import trackers
from refinevad_jax.runs.metric_rows import MetricWriter, read_rows
from refinevad_jax.runs.trackers import Tracker, metrics_of, require_trackers

ROWS = [{"step": 1, "loss": 0.5}, {"step": 2, "epoch": 1, "video_auc": 0.75, "note": None}]


class FakeRun:
    """A run of W&B that keeps what it is given, and may refuse it."""

    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, float], int]] = []
        self.full = False

    def log(self, metrics: dict[str, float], step: int) -> None:
        if self.full:
            raise OSError(28, "No space left\non device")
        self.rows.append((metrics, step))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeRun, dict[str, Any]]:
    """A package of the name, with the run that it gives and what it was called with."""
    run, words = FakeRun(), dict[str, Any]()

    def init(**given: Any) -> FakeRun:
        words.update(given)
        return run

    module = types.SimpleNamespace(init=init, Settings=dict)
    monkeypatch.setitem(__import__("sys").modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return run, words


def test_rows_reach_wandb_offline(
    wandb: tuple[FakeRun, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    run, words = wandb
    tracker = Tracker("wandb", tmp_path, {"seed": 1})
    MetricWriter(tmp_path / "metrics.jsonl", resumed_step=0, trackers=[tracker]).write(ROWS)
    assert run.rows == [({"step/loss": 0.5}, 1), ({"epoch/video_auc": 0.75}, 2)]
    assert words["mode"] == "offline" and words["config"] == {"seed": 1}


def test_a_tracker_that_fails_says_so_once_and_training_goes_on(
    wandb: tuple[FakeRun, dict[str, Any]],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, _ = wandb
    tracker = Tracker("wandb", tmp_path, {})
    writer = MetricWriter(tmp_path / "metrics.jsonl", resumed_step=0, trackers=[tracker])
    run.full = True
    for row in ROWS:
        writer.write([row])
    assert read_rows(tmp_path / "metrics.jsonl") == ROWS
    said = capsys.readouterr().err
    assert said.startswith("warning: wandb gets no more rows (OSError: [Errno 28] No space left on")
    assert said.count("\n") == 1


def test_a_tracker_that_does_not_start_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(workdir: pathlib.Path, config: Any) -> Any:
        raise RuntimeError("no store")

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", refuse)
    Tracker("mlflow", tmp_path, {}).write(ROWS)
    assert capsys.readouterr().err.startswith("warning: mlflow gets no more rows (RuntimeError: no")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--trackers=mlflow: .*pip install 'refinevad_jax\[mlfl"):
        require_trackers(["mlflow"])


def test_metrics_are_numbers_by_kind_of_row() -> None:
    assert metrics_of(ROWS[1]) == {"epoch/video_auc": 0.75}
    nested = {"a": {"b": 1, "c": {"d": (1, 2)}}, "e": "x"}
    assert trackers._flat(nested) == [("a.b", 1), ("a.c.d", (1, 2)), ("e", "x")]


def test_mlflow_keeps_the_rows_in_the_workdir(tmp_path: pathlib.Path) -> None:
    library = pytest.importorskip("mlflow", reason="mlflow is not installed")
    Tracker("mlflow", tmp_path, {"a": {"b": 1}}).write(ROWS)
    store = trackers._mlflow_store(tmp_path)
    client = library.MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(trackers.PROJECT).experiment_id
    (run,) = client.search_runs([experiment])
    assert run.data.metrics == {"step/loss": 0.5, "epoch/video_auc": 0.75}
    assert run.data.params == {"a.b": "1"}
