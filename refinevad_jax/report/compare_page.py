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

    runs = content["runs"]
    with as_damaged("metrics.json of a run is damaged; evaluate again", UndefinedError):
        write_html(
            path,
            "compare",
            title="Runs side by side",
            data=content,
            names=[run["name"] for run in runs],
            headline=list(zip(*(metric_rows(run["metrics"]) for run in runs), strict=True)),
            facts=_facts(content),
            localization=_localization(content),
            differences=content["differences"],
            metric_names=names.titles(),
        )


def table(content: Mapping[str, Any]) -> str:
    """The paired differences as text."""
    lines, titles = [], names.titles()
    for found in content["differences"]:
        lines.append(f"{found['name']} minus {found['against']}")
        if found["reason"]:
            lines.append(f"  {found['reason']}")
        for key, row in found["rows"].items():
            low, high = number(row["low"]), number(row["high"])
            lines.append(
                f"  {titles[key]:20s} {number(row['value']):>8}  [{low}, {high}]  "
                f"p = {number(row['p_value'], 3)}"
            )
    return "\n".join(lines)


def _facts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one fact, and whether it is the same for all runs."""
    columns = [dict(facts(run["metrics"])) for run in content["runs"]]
    rows = {name: [column[name] for column in columns] for name in columns[0]}
    return [{"name": name, "cells": row, "same": len(set(row)) == 1} for name, row in rows.items()]


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
