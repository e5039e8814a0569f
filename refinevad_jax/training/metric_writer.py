"""metrics.jsonl: one JSON object a line, exact numbers, nothing that depends on the clock."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any


class MetricWriter:
    """Appends rows; on resume drops those past the restored step, so that none stands twice."""

    def __init__(self, path: pathlib.Path, *, resumed_step: int) -> None:
        self._path = path
        kept = [row for row in read_rows(path) if row["step"] <= resumed_step]
        temporary = path.with_suffix(".jsonl.tmp")
        temporary.write_text("".join(map(_line, kept)), encoding="utf-8")
        temporary.replace(path)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Appends rows, each with its "step", and waits until they are on the disk."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, rows)))
            file.flush()
            os.fsync(file.fileno())


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
