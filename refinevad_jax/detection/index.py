"""The page of all inputs of one call, which leads to the pages of each."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from refinevad_jax.detection.page import FOLDER, link
from refinevad_jax.files.staged import write_text
from refinevad_jax.report.page import environment


@dataclasses.dataclass(frozen=True)
class Row:
    """One input: what events.json holds of it, and a picture as a data address, "" for none."""

    described: dict[str, Any]
    picture: str


def write_index(
    path: pathlib.Path, facts: dict[str, Any], rows: Sequence[Row], failed: Sequence[str]
) -> None:
    """Writes OUT/index.html whole: inputs with events first, then by their highest score.

    facts: see refinevad_jax.detection.outputs; failed: why other inputs failed. Raises UserError if
    jinja2 is not installed.
    """
    by_score = sorted(
        rows, key=lambda row: (not row.described["events"], -row.described["highest_score"])
    )
    text = (
        environment(FOLDER)
        .get_template("index.html")
        .render(
            facts=facts,
            rows=[
                (row, link(path, path.parent / f"{row.described['name']}.html")) for row in by_score
            ],
            found=sum(bool(row.described["events"]) for row in rows),
            failed=failed,
            style=(FOLDER / "detection.css").read_text(encoding="utf-8"),
        )
    )
    write_text(path, text)
