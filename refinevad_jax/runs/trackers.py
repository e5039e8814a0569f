"""Where the rows of metrics.jsonl go too, if the user asks for it: W&B and MLflow.

wandb   W/wandb/    an offline run; `wandb sync` uploads it, or WANDB_MODE=online while training
mlflow  W/mlruns    a local store (mlflow.db, or files if only mlflow-skinny is installed);
                    MLFLOW_TRACKING_URI names another one, also on a server

Neither is part of a result, and nothing reads them. TensorBoard's files are in metric_rows.
"""

import atexit
import contextlib
import importlib.util
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refinevad_jax.errors import UserError

PROJECT = "refinevad"
BATCH = 1000  # metrics that MLflow takes in one call
Row = Mapping[str, Any]


def require_trackers(names: Sequence[str]) -> None:
    """Raises UserError if the package of a tracker is not installed. names: of TRACKERS."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"--trackers={name}: {name} is not installed: pip install 'refinevad_jax[{name}]'"
            )


class Tracker:
    """Sends rows to one tracker, until it fails: then it says so in one line and stays silent."""

    def __init__(self, name: str, workdir: pathlib.Path, config: Mapping[str, Any]) -> None:
        """name: of TRACKERS; workdir: of the run; config: its keys, plain values, nested."""
        self._name = name
        self._send: Callable[[Sequence[Row]], None] | None = None
        self._guarded(lambda: TRACKERS[name](workdir, config))

    def write(self, rows: Sequence[Row]) -> None:
        """Sends rows, each with its "step". Never raises."""
        if self._send is not None:
            self._guarded(lambda: self._sent(rows))

    def _sent(self, rows: Sequence[Row]) -> Callable[[Sequence[Row]], None]:
        assert self._send is not None
        self._send(rows)
        return self._send

    def _guarded(self, call: Callable[[], Callable[[Sequence[Row]], None]]) -> None:
        try:
            self._send = call()
        except Exception as error:  # each library raises its own kinds
            self._send = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(
                f"warning: {self._name} gets no more rows ({reason[:200]}); metrics.jsonl has all",
                file=sys.stderr,
                flush=True,
            )


def metrics_of(row: Row) -> dict[str, float]:
    """The numbers of a row by name: step/NAME, or epoch/NAME in the row of an epoch."""
    kind = "epoch" if "epoch" in row else "step"
    return {
        f"{kind}/{key}": float(value)
        for key, value in row.items()
        if isinstance(value, int | float) and key not in ("step", "epoch")
    }


def _open_wandb(
    workdir: pathlib.Path, config: Mapping[str, Any]
) -> Callable[[Sequence[Row]], None]:
    """A new run of W&B in this workdir; a run that goes on is a second one there."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would call its server
    import wandb

    run = wandb.init(
        project=PROJECT,
        name=workdir.name,
        dir=str(workdir),
        config=dict(config),
        mode=os.environ.get("WANDB_MODE", "offline"),
        reinit="create_new",  # the seeds of a run have one each
        settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
    )

    def send(rows: Sequence[Row]) -> None:
        for row in rows:
            run.log(metrics_of(row), step=row["step"])

    return send


def _open_mlflow(
    workdir: pathlib.Path, config: Mapping[str, Any]
) -> Callable[[Sequence[Row]], None]:
    """A new run of MLflow; a run that goes on is a second one in the same store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which would call its server
    # MLflow's own 7 let training wait for four minutes if its server is not there.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient(tracking_uri=_mlflow_store(workdir))
    found = client.get_experiment_by_name(PROJECT)
    experiment = found.experiment_id if found else client.create_experiment(PROJECT)
    run = client.create_run(experiment, run_name=workdir.name).info.run_id
    atexit.register(_end_of_mlflow, client, run)
    params = [Param(key, str(value)) for key, value in _flat(config)]
    for start in range(0, len(params), 100):
        client.log_batch(run, params=params[start : start + 100])

    def send(rows: Sequence[Row]) -> None:
        now = int(1000 * time.time())
        metrics = [
            Metric(name, value, now, row["step"])
            for row in rows
            for name, value in metrics_of(row).items()
        ]
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run, metrics=metrics[start : start + BATCH])

    return send


def _end_of_mlflow(client: Any, run: str) -> None:
    """Otherwise MLflow shows the run as running for ever."""
    with contextlib.suppress(Exception):  # the rows are there; nothing is to be said any more
        client.set_terminated(run)


def _mlflow_store(workdir: pathlib.Path) -> str:
    folder = workdir.absolute() / "mlruns"
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return given
    if importlib.util.find_spec("sqlalchemy"):
        folder.mkdir(exist_ok=True)
        return f"sqlite:///{folder / 'mlflow.db'}"
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return folder.as_uri()


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows = []
    for key, value in config.items():
        inner = isinstance(value, Mapping)
        rows += _flat(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return rows


TRACKERS: dict[
    str, Callable[[pathlib.Path, Mapping[str, Any]], Callable[[Sequence[Row]], None]]
] = {"wandb": _open_wandb, "mlflow": _open_mlflow}
