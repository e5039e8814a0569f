"""Publishes a run: its best network as a small folder with a model card."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from refinevad_jax.evaluation.run import selection_rule
from refinevad_jax.report.tables import (
    calibration_in_words,
    markdown_table,
    measured_on,
    metric_rows,
    number,
    percent,
)
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.evaluations import all_metrics
from refinevad_jax.runs.published import write_published
from refinevad_jax.runs.run import Run, read_run
from refinevad_jax.runs.stream_points import read_points


def publish(workdir: pathlib.Path, output: pathlib.Path, *, step: str, about: str) -> None:
    """Writes the published run of a checkpoint, with all evaluations of it.

    about: Markdown that opens the model card: what the network is for, its limits, its licences.
    Raises UserError for a workdir without that checkpoint, or if the folder holds anything but a
    published run.
    """
    run = read_run(workdir)
    _, params, number_of_step = restore(run, workdir, step)
    evaluations = {
        name: content
        for name, content in all_metrics(workdir).items()
        if content.get("step") == number_of_step
    }
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    card = model_card(run, number_of_step, size, evaluations, about)
    write_published(
        output,
        workdir,
        params,
        number_of_step,
        evaluations=evaluations,
        stream_points=read_points(workdir, number_of_step),
        card=card,
    )


def publish_hub(workdir: pathlib.Path, output: pathlib.Path, *, step: str, about: str) -> None:
    """`publish`, with the metadata that model hubs read at the top of the card.

    about: as for publish; "" for a first part that says what is not stated.
    """
    info = read_run(workdir).info
    text = about.strip() or _unstated(info.name, info.taxonomy.display_names)
    publish(workdir, output, step=step, about=f"{_METADATA}\n{text}\n")


# The licence is that of the weights, which nothing in a run says; the card's text does.
_METADATA = """---
library_name: refinevad_jax
pipeline_tag: video-classification
license: other
tags: [video-anomaly-detection, weakly-supervised, jax, refinevad]
---
"""


def _unstated(name: str, categories: Sequence[str]) -> str:
    return (
        f"# RefineVAD on {name}\n\n"
        "**For**: not stated by who exported it.\n\n"
        f"**Limits.** It knows {', '.join(categories)}, from weakly labelled videos of {name}, and "
        "nothing else. Thresholds hold for scenes like those in which they were found: on another "
        "camera the rate of false alarms is another one.\n\n"
        "**Licence**: not stated. It depends on the data set and on the encoder of the features."
    )


def model_card(
    run: Run, step: int, num_params: int, evaluations: Mapping[str, Mapping[str, Any]], about: str
) -> str:
    """The model card as Markdown: what the caller says, then facts and numbers."""
    info = run.info
    facts = [
        ("data set", info.name),
        ("where it came from", info.source or "not stated"),
        ("anomalies that it knows", ", ".join(info.taxonomy.display_names)),
        ("features", f"{info.encoder}, {info.frames_per_segment} frames per segment"),
        *([("inputs", "less the median of their recording")] if run.takes_differences else []),
        ("crops per segment", str(run.num_crops)),
        ("parameters", f"{num_params:,}"),
        ("checkpoint", f"step {step}, {selection_rule(run)}"),
        ("seed", str(run.config.seed)),
        ("trained by commit", run.versions.get("commit") or "not known"),
    ]
    lines = [about.strip(), "", "## Facts", "", *markdown_table(("", ""), facts), ""]
    for name, content in evaluations.items():
        lines += [f"## Evaluation {name}", "", *_evaluation(content), ""]
    return "\n".join(lines)


def _evaluation(content: Mapping[str, Any]) -> list[str]:
    points = [
        (
            percent(point["target_false_alarm_rate"]),
            number(point["threshold"]),
            percent(point["detection_rate"]),
            percent(point["anomalous_videos_found"]),
        )
        for point in content["operating_points"]
    ]
    num_segments = content["operating_points"][0]["num_normal_segments"]
    rows = [
        (row["name"], number(row["value"]), _interval(row))
        for row in metric_rows(content)
        if row["value"] is not None
    ]
    segments = content["num_segments"]
    resolution = f"{segments} scores per video" if segments else "one score per segment"
    if "stream" in content:
        resolution += ", each from the segments up to it"
    return [
        f"Split {content['split']}: {measured_on(content)}; {resolution}.",
        "",
        *markdown_table(("metric", "value", "95 % interval over videos"), rows),
        "",
        f"Operating points, found on this split: false alarms are a share of the {num_segments:,} "
        "segments of normal videos. If not even one may be flagged, the threshold lies just above "
        "the highest of them.",
        "",
        *markdown_table(
            (
                "false alarms, %",
                "threshold",
                "anomalous frames found, %",
                "anomalous videos found, %",
            ),
            points,
        ),
        "",
        f"{': '.join(calibration_in_words(content['calibration']))}.",
    ]


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"
