"""compare.html and its printed table, from what `evaluation.comparison` finds."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.errors import as_damaged
from refinevad_jax.metrics import names
from refinevad_jax.report.page import write_html
from refinevad_jax.report.tables import (
    aligned,
    facts,
    localization_rows,
    mean_and_deviation,
    metric_rows,
    number,
)


def write_page(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes the page whole. Raises UserError if a metrics.json is damaged."""
    from jinja2 import UndefinedError

    runs = content["runs"]
    with as_damaged("metrics.json of a run is damaged; evaluate again", UndefinedError):
        write_html(
            path,
            "compare",
            title="Runs side by side",
            data={
                "categories": content["categories"],
                "runs": [
                    {"name": run["name"], "roc": run["roc"], "classes": _classes(run["metrics"])}
                    for run in runs
                ],
            },
            names=[run["name"] for run in runs],
            seeds=any(len(run["metrics"]) > 1 for run in runs),
            headline=_aligned([_headline(run["metrics"]) for run in runs]),
            facts=_facts(content),
            localization=_localization(content),
            differences=[
                found | {"covers": covers(found), "rows": _rows(found)}
                for found in content["differences"]
            ],
        )


def table(content: Mapping[str, Any]) -> str:
    """The differences as text."""
    lines = []
    for found in content["differences"]:
        lines.append(f"{found['name']} minus {found['against']}: {covers(found)}")
        if found["reason"]:
            lines.append(f"  {found['reason']}")
        cells = [
            [
                row["name"],
                f"{row['mean']} - {row['against']}",
                f"= {number(row['value'])}",
                f"[{number(row['low'])}, {number(row['high'])}]",
                f"p = {number(row['p_value'], 3)}",
            ]
            for row in _rows(found)
        ]
        lines += [f"  {line}" for line in aligned(cells)]
    return "\n".join(lines)


def covers(found: Mapping[str, Any]) -> str:
    """What the intervals and p-values of a difference cover, in words."""
    one, other = found["seeds"]
    if one == other == 1:
        return (
            "intervals and p cover videos only, not seeds: two seeds of one configuration may "
            "differ as much"
        )
    return f"intervals and p cover videos and seeds ({one} against {other})"


def _rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a difference: title, both means with their deviation over seeds, the interval, p."""
    titles = names.titles()
    return [
        row | {"name": titles[key], "mean": _mean(row["values"]), "against": _mean(row["against"])}
        for key, row in found["rows"].items()
    ]


def _mean(values: Sequence[float | None]) -> str:
    """The value of one seed, mean ± deviation of several, or a dash if one is not defined."""
    found = mean_and_deviation(values)
    if found is None:
        return number(None)
    return f"{found[0]:.4f} ± {found[1]:.4f}" if len(values) > 1 else number(found[0])


def _headline(seeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one run: its value and interval, or mean ± deviation over its seeds."""
    rows = []
    for cells in zip(*map(metric_rows, seeds), strict=True):
        row = {**cells[0], "value": _mean([cell["value"] for cell in cells])}
        rows.append(row if len(seeds) == 1 else row | {"low": None, "high": None})
    return rows


def _aligned(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[Mapping[str, Any]]]:
    """The rows of all runs by their names; a dash for what a run does not have (L_GMM's target)."""
    named = [{row["name"]: row for row in rows} for rows in runs]
    every = {name: row for rows in named for name, row in rows.items()}
    none = {"value": number(None), "low": None, "high": None}
    return [[rows.get(name, {**row, **none}) for rows in named] for name, row in every.items()]


def _classes(seeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The measures of each category, as means over the seeds; None if a seed has none."""
    every = [content["per_category"]["categories"] for content in seeds]
    return [
        {
            key: (mean_and_deviation([row.get(key) for row in rows]) or (None,))[0]
            for key in rows[0]
            if key != "category"
        }
        for rows in zip(*every, strict=True)
    ]


def _facts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one fact, and whether it is the same for all runs; what seeds differ in is listed."""
    columns = []
    for run in content["runs"]:
        seeds = [dict(facts(metrics)) for metrics in run["metrics"]]
        columns.append(
            {name: ", ".join(dict.fromkeys(seed[name] for seed in seeds)) for name in seeds[0]}
        )
    every = dict.fromkeys(name for column in columns for name in column)
    rows = {name: [column.get(name, number(None)) for column in columns] for name in every}
    return [{"name": name, "cells": row, "same": len(set(row)) == 1} for name, row in rows.items()]


def _localization(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one rule and convention: the mean mAP of each run over its seeds, or None."""
    found, notes = [], {}
    for run in content["runs"]:
        values: dict[tuple[str, str], list[float | None]] = {}
        for metrics in run["metrics"]:
            for row in localization_rows(metrics["localization"]):
                values.setdefault((row["rule"], row["key"]), []).append(row["mean"])
                notes[row["key"]] = row["note"]
        found.append({key: mean_and_deviation(seeds) for key, seeds in values.items()})
    keys = dict.fromkeys(key for run in found for key in run)
    return [
        {
            "rule": rule,
            "key": key,
            "note": notes[key],
            "cells": [(run.get((rule, key)) or (None,))[0] for run in found],
        }
        for rule, key in keys
    ]
