"""compare.html and its printed table, from what `evaluation.comparison` finds."""

import pathlib
from collections.abc import Mapping
from typing import Any

from refinevad_jax.errors import as_damaged
from refinevad_jax.metrics import names
from refinevad_jax.report.page import write_html
from refinevad_jax.report.tables import facts, localization_rows, metric_rows, number


def write_page(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes the page whole. Raises UserError if a metrics.json is damaged."""
    from jinja2 import UndefinedError

    with as_damaged("metrics.json of a run is damaged; evaluate again", UndefinedError):
        write_html(
            path,
            "compare",
            title="Runs side by side",
            data=content,
            names=[run["name"] for run in content["runs"]],
            headline=_headline(content),
            facts=_facts(content),
            localization=_localization(content),
            differences=content["differences"],
            metric_names=_titles(),
        )


def _titles() -> dict[str, str]:
    return {metric.key: metric.title for metric in names.METRICS}


def table(content: Mapping[str, Any]) -> str:
    """The paired differences as text."""
    lines = []
    for found in content["differences"]:
        lines.append(f"{found['name']} minus {found['against']}")
        if found["reason"]:
            lines.append(f"  {found['reason']}")
        for key, row in found["rows"].items():
            low, high = number(row["low"]), number(row["high"])
            lines.append(
                f"  {_titles()[key]:20s} {number(row['value']):>8}  [{low}, {high}]  "
                f"p = {number(row['p_value'], 3)}"
            )
    return "\n".join(lines)


def _headline(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one metric, a value and interval for each run."""
    columns = [metric_rows(run["metrics"]) for run in content["runs"]]
    return [
        {"name": cells[0]["name"], "note": cells[0]["note"], "cells": cells}
        for cells in zip(*columns, strict=True)
    ]


def _facts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one fact, and whether it is the same for all runs."""
    columns = [facts(run["metrics"]) for run in content["runs"]]
    rows = []
    for cells in zip(*columns, strict=True):
        values = [value for _, value in cells]
        rows.append({"name": cells[0][0], "cells": values, "same": len(set(values)) == 1})
    return rows


def _localization(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one rule and convention: the mean mAP of each run, or None."""
    found = [
        {
            (row["rule"], row["key"]): row["mean"]
            for row in localization_rows(run["metrics"]["localization"])
        }
        for run in content["runs"]
    ]
    keys = dict.fromkeys(key for run in found for key in run)
    return [
        {"rule": rule, "key": key, "cells": [run.get((rule, key)) for run in found]}
        for rule, key in keys
    ]
