"""metrics.jsonl: one JSON object per line, exact numbers, nothing that depends on the clock.

If tensorboardX is installed, the same numbers go to event files beside it, in tensorboard/; and to
the trackers that the user asked for.
"""

import contextlib
import json
import math
import os
import pathlib
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.files.staged import write_bytes
from refinevad_jax.runs.trackers import Tracker


class MetricWriter:
    """Appends rows; on resume drops those past the restored step, so that none appears twice."""

    def __init__(
        self,
        path: pathlib.Path,
        *,
        resumed_step: int,
        writable: bool = True,
        trackers: Sequence[Tracker] = (),
    ) -> None:
        self._path, self._writable, self._trackers = path, writable, trackers
        if not writable:  # another process writes
            return
        kept = [row for row in read_rows(path) if row["step"] <= resumed_step]
        write_bytes(path, "".join(map(_line, kept)).encode())
        self._events = _event_writer(path.parent / "tensorboard", resumed_step)
        if self._events is not None:
            weakref.finalize(self, _close, self._events)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Appends rows, each with its "step", and waits until they are on the disk."""
        if not self._writable:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, rows)))
            file.flush()
            os.fsync(file.fileno())
        for tracker in self._trackers:
            tracker.write(rows)
        for row in rows:
            kind = "epoch" if "epoch" in row else "step"
            for key, value in row.items():
                # Its thread ends if a write fails, and writing to a dead one would wait for ever.
                if self._events is None or not _writes(self._events):
                    return
                if isinstance(value, int | float) and key not in ("step", "epoch"):
                    self._events.add_scalar(f"{kind}/{key}", value, row["step"])


def _event_writer(folder: pathlib.Path, resumed_step: int) -> Any:
    """A TensorBoard writer that drops what lies past the restored step; None without the extra."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=resumed_step + 1, flush_secs=10)


def _writes(events: Any) -> bool:
    """Whether its thread lives; tensorboardX has none any more if it closed the files first."""
    worker = events.file_writer.event_writer._worker
    return worker is not None and worker.is_alive()


def _close(events: Any) -> None:
    if _writes(events):
        with contextlib.suppress(OSError):  # metrics.jsonl has the numbers
            events.close()


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl; a last line cut off by a crash is left out."""
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return rows


def _line(row: Mapping[str, Any]) -> str:
    finite = {
        key: value if not isinstance(value, float) or math.isfinite(value) else None
        for key, value in row.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"
