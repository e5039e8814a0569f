"""compare.html and its printed table, from what `evaluation.comparison` finds."""

import pathlib
from collections.abc import Mapping
from typing import Any

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.metrics import names as headline
from refinevad_jax.report.page import write_html


def write_page(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes the page whole. Raises UserError where its folder cannot be written."""
    from jinja2 import UndefinedError

    damaged = "metrics.json of a run is damaged or of an older release; evaluate again"
    try:
        with as_damaged(damaged, UndefinedError):
            _write(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write(path: pathlib.Path, content: Mapping[str, Any]) -> None:
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
        metric_names={key: name for key, (name, _) in headline.HEADLINE.items()},
    )


def table(content: Mapping[str, Any]) -> str:
    """The paired differences as text."""
    lines = []
    for found in content["differences"]:
        lines.append(f"{found['name']} minus {found['against']}")
        if found["reason"]:
            lines.append(f"  {found['reason']}")
        for key, row in found["rows"].items():
            name = headline.HEADLINE[key][0]
            low, high = headline.number(row["low"]), headline.number(row["high"])
            lines.append(
                f"  {name:20s} {headline.number(row['value']):>8}  [{low}, {high}]  "
                f"p = {headline.number(row['p_value'], 3)}"
            )
    return "\n".join(lines)


def _headline(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one metric, a value and interval for each run."""
    columns = [headline.rows(run["metrics"]) for run in content["runs"]]
    return [
        {"name": cells[0]["name"], "note": cells[0]["note"], "cells": cells}
        for cells in zip(*columns, strict=True)
    ]


def _facts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one fact, and whether it is the same for all runs."""
    columns = [headline.facts(run["metrics"]) for run in content["runs"]]
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
            for row in headline.localization_rows(run["metrics"]["localization"])
        }
        for run in content["runs"]
    ]
    keys = dict.fromkeys(key for run in found for key in run)
    return [
        {"rule": rule, "key": key, "cells": [run.get((rule, key)) for run in found]}
        for rule, key in keys
    ]
