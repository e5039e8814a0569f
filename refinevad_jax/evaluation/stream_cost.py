"""What streaming costs: a split replayed as streams beside its offline scores, with own thresholds.

Thresholds come from the selection split, replayed in the same way, by video-level labels alone;
offline scores get theirs from the same videos. The split is then measured at both.
"""

import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.hold_out import hold_out
from refinevad_jax.evaluation.causal import OF_STREAM, CausalNetwork, replay
from refinevad_jax.evaluation.numbers import without_nan
from refinevad_jax.evaluation.run import (
    Settings,
    check_features,
    in_categories_of,
    scored_by,
    selection_rule,
    write_evaluation,
)
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import Pooling, Scorer
from refinevad_jax.metrics.frames import false_alarm_rate, threshold_at_false_alarm_rate
from refinevad_jax.metrics.latency import alarm_delays, early_average_precision
from refinevad_jax.report.tables import aligned, number, percent
from refinevad_jax.runs import evaluations
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, is_published, read_run, seed_workdirs
from refinevad_jax.runs.scoring_rule import FALSE_ALARM_RATES, Threshold, scoring_rule
from refinevad_jax.runs.stream_points import NAME, write_points

EARLY_SECONDS = 5.0


def evaluate_stream_seeds(workdir: pathlib.Path, **options: Any) -> list[dict[str, Any]]:
    """Evaluates the run in workdir, or every seed of it, as streams; options as of the next.

    Returns what metrics.json holds, by seed. Raises UserError if the folder has no run.
    """
    folders = seed_workdirs(workdir)
    if not folders:
        read_run(workdir)  # says what is missing
    return [evaluate_stream(folder, **options) for folder in folders]


def evaluate_stream(
    workdir: pathlib.Path,
    *,
    split: str,
    step: str,
    dataset: str = "",
    data_dir: str = "",
    allow_mismatch: bool = False,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Writes WORKDIR/stream.json, and an evaluation of the split replayed as streams.

    The thresholds are those for FALSE_ALARM_RATES and for the rate of the settings. Returns what
    metrics.json holds: the numbers of an evaluation, for causal scores, and under "stream" what
    differs from offline scores. Raises UserError for bad input.
    """
    settings = settings or Settings()
    run = read_run(workdir)
    own = run.config.data
    dataset, data_dir = dataset or own.dataset, data_dir or own.data_dir
    info = read_info(data_dir, dataset)
    check_features(run.info, info, allow_mismatch=allow_mismatch)
    graphdef, params, number_of_step = restore(run, workdir, step)
    bags = read_split(data_dir, dataset, split)
    if dataset == own.dataset or info.same_data(run.info):
        own_dir, own_name = data_dir, dataset
    else:
        own_dir, own_name = own.data_dir, own.dataset
    chosen_on, inputs = read_selection(run, own_dir, own_name)
    fitted = scoring_rule(run, workdir, number_of_step).calibration
    both = _Both(
        CausalNetwork(graphdef, params, run, fitted),
        Scorer(graphdef, pooling=Pooling.of(run.config.loss)),
        params,
        run,
    )
    calibration = both.scored(read_info(own_dir, own_name), chosen_on, inputs, "selection split")
    same = (dataset, split) == (own_name, own.selection_split)
    whole = len(bags) == len(chosen_on)  # less than the split if it was held out of training
    scored = calibration
    if not (same and whole):
        if words := run.inputs_note(bags, split):
            print(f"{words}, offline", flush=True)
        scored = both.scored(info, bags, run.inputs(bags), split)
    rates = sorted({*FALSE_ALARM_RATES, settings.false_alarm_rate})
    thresholds = [_thresholds(calibration, rate) for rate in rates]
    rule = both.network.rule
    selected_on = selection_split(run)
    points = [point(calibration[0], r, t) for r, (t, _) in zip(rates, thresholds, strict=True)]
    stored = {"step": number_of_step, "split": selected_on, **dataclasses.asdict(rule)}
    if not is_published(workdir):  # which stays as it is
        write_points(workdir, without_nan(stored | {"operating_points": points}))
    stream = {
        **dataclasses.asdict(rule),
        "thresholds_from": selected_on,
        "offline_num_segments": run.config.eval.num_segments,
        **cost(*scored, rates, thresholds),
    }
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{dataset}-{split}-{step}-stream")
    folder = evaluations.evaluation_folder(workdir, name)
    quiet = dataclasses.replace(settings, verbose=False)
    protocol = {"dataset": dataset, "split": split, "step": number_of_step, "step_chosen_as": step}
    protocol |= _origin(run, number_of_step, step) | {"stream": without_nan(stream)}

    def threshold(content: Mapping[str, Any], rate: float) -> Threshold | None:
        del content
        value = thresholds[rates.index(rate)][0]
        source = f"{100 * rate:g} % false alarms on {selected_on}, replayed as streams"
        return None if math.isnan(value) else Threshold(value, source)

    content = write_evaluation(scored[0], protocol, folder, quiet, threshold)
    if settings.verbose:
        print(cost_table(content))
        if not is_published(workdir):
            print(f"{workdir / NAME}: thresholds for detect --stream")
        print(f"{folder}: metrics.json and more")
    return content


def _origin(run: Run, step: int, chosen: str) -> dict[str, Any]:
    """Where the scores come from, as metrics.json says it."""
    return {
        "selection": selection_rule(run),
        "scored_by": f"{scored_by(run, step, chosen)}, replayed as streams",
        "inputs": f"features less {OF_STREAM}" if run.takes_differences else "",
        "seed": run.config.seed,
        "commit": run.versions.get("commit", ""),
        "trained_versions": dict(run.versions),
        "num_segments": 0,
        "config": run.config.to_dict(),
    }


@dataclasses.dataclass(frozen=True)
class _Both:
    """A network that scores bags as streams and offline."""

    network: CausalNetwork
    scorer: Scorer
    params: Any
    run: Run

    def scored(
        self, info: BagsInfo, bags: list[Bag], inputs: list[Bag], name: str
    ) -> tuple[ScoredSplit, ScoredSplit]:
        """The videos with causal scores, and with those of the run's own rule.

        inputs: the videos as the network takes them offline; streams make their own.
        """
        segments = self.run.config.eval.num_segments
        bar = tqdm.tqdm(bags, desc=f"replaying {name}", unit="video")
        causal = [replay(self.network, bag) for bag in bar]
        offline = self.scorer(
            self.params,
            inputs,
            columns=self.run.columns(),
            num_segments=segments,
            calibration=self.network.calibration,
        )
        if self.run.model_config.has_core and self.run.info.taxonomy != info.taxonomy:
            causal, offline = (
                [in_categories_of(info, self.run.info, result) for result in results]
                for results in (causal, offline)
            )
        return (
            ScoredSplit(
                info,
                bags,
                causal,
                resampled=False,
                calibration=self.network.calibration,
                note=f"whole videos of {selection_split(self.run)}, not on streams",
            ),
            ScoredSplit(info, bags, offline, resampled=segments > 0),
        )


def read_selection(run: Run, data_dir: str, dataset: str) -> tuple[list[Bag], list[Bag]]:
    """The videos that the run's checkpoint was chosen on, and as the network took them.

    Raises UserError if one is missing.
    """
    data = run.config.data
    bags = read_split(data_dir, dataset, data.selection_split)
    inputs = run.inputs(bags)
    if data.selection_split != data.train_split:
        return bags, inputs
    held_out = hold_out(bags, data.selection_fraction, run.config.seed)
    bags, inputs = ([bag for bag in found if bag.video_id in held_out] for found in (bags, inputs))
    return bags, inputs


def selection_split(run: Run) -> str:
    """The name of that split, in words."""
    data = run.config.data
    held_out = data.selection_split == data.train_split
    return (
        f"{data.selection_fraction:.0%} of {data.train_split}" if held_out else data.selection_split
    )


def _thresholds(calibration: tuple[ScoredSplit, ScoredSplit], rate: float) -> tuple[float, float]:
    """For streams and for offline scores; nan without normal videos."""
    stream, offline = (
        threshold_at_false_alarm_rate(split.arrays.normal_scores, rate) for split in calibration
    )
    return stream, offline


def point(split: ScoredSplit, rate: float, threshold: float) -> dict[str, float]:
    """What a threshold lets through in a split. Numbers that are not defined are nan."""
    arrays = split.arrays
    highest = np.array([result.scores.max() for result in split.results])
    return {
        "target_false_alarm_rate": rate,
        "threshold": threshold,
        "false_alarm_rate": false_alarm_rate(arrays.normal_scores, threshold),
        "detection_rate": _share(arrays.scores[arrays.truth] >= threshold),
        "anomalous_videos_found": _share(highest[arrays.anomalous] >= threshold),
    }


def cost(
    stream: ScoredSplit,
    offline: ScoredSplit,
    rates: Sequence[float],
    thresholds: Sequence[tuple[float, float]],
) -> dict[str, Any]:
    """What differs between the same videos as streams and offline; nan if it is not defined.

    "early_ap" is `latency.early_average_precision` of the first EARLY_SECONDS. Delays are in
    seconds, over the events that are found in videos whose frame rate is known.
    """
    frames = stream.info.frames_per_segment
    truths = [stream.frame_truth(index) for index in stream.known]
    fps = np.array([stream.bags[index].fps for index in stream.known])
    found: dict[str, Any] = {"early_seconds": EARLY_SECONDS}
    for name, split in (("stream", stream), ("offline", offline)):
        scores = [split.on_frames(i, split.results[i].scores) for i in split.known]
        early = early_average_precision(truths, scores, (EARLY_SECONDS * fps).tolist())
        arrays = split.arrays
        found[name] = {
            "frame_auc": arrays.ranking.roc_auc(),
            "frame_ap": arrays.ranking.average_precision(),
            "anomalous_frame_auc": arrays.auc_of(arrays.anomalous[arrays.with_truth]),
            "video_auc": arrays.video_ranking.roc_auc(),
            "early_ap": early if (fps > 0).all() else float("nan"),
        }
    points = []
    for rate, (threshold, offline_threshold) in zip(rates, thresholds, strict=True):
        delays = [
            alarm_delays(truth, stream.results[index].scores >= threshold, frames)
            for truth, index in zip(truths, stream.known, strict=True)
        ]
        seconds = np.concatenate(
            [np.zeros(0), *(d / f for d, f in zip(delays, fps, strict=True) if f)]
        )
        every = np.concatenate([np.zeros(0), *delays])
        points.append(
            {
                **point(stream, rate, threshold),
                "num_events": len(every),
                "events_missed": _share(np.isnan(every)),
                "median_delay_seconds": _median(seconds[~np.isnan(seconds)]),
                "offline": point(offline, rate, offline_threshold),
            }
        )
    return {**found, "operating_points": points}


def _share(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def cost_table(content: dict[str, Any]) -> str:
    """What `evaluate_stream` prints. content: of metrics.json."""
    stream = content["stream"]
    lines = [
        f"{content['dataset']}, split {content['split']}, as streams: {content['num_videos']} "
        f"videos, {content['num_videos_with_truth']} with frame truth; {content['scored_by']}",
    ]
    titles = {
        "frame_auc": "frame AUC",
        "frame_ap": "frame AP",
        "anomalous_frame_auc": "AUC, anomalous videos",
        "video_auc": "video AUC",
        "early_ap": f"AP, first {stream['early_seconds']:g} s of events",
    }
    values = [
        [title, *(number(stream[name][key]) for name in ("stream", "offline"))]
        for key, title in titles.items()
    ]
    if content.get("inputs"):
        lines.append(f"streams: {content['inputs']}; offline: that of their recording in the split")
    lines += aligned([["", "stream", "offline"], *values])
    lines.append(
        f"thresholds from {stream['thresholds_from']}; found by streams, offline in brackets:"
    )
    header = ["target", "threshold", "false alarms", "frames", "videos", "events", "median delay"]
    rows = [header]
    for item in stream["operating_points"]:
        pairs = [
            f"{percent(item[key])} % ({percent(item['offline'][key])})"
            for key in ("false_alarm_rate", "detection_rate", "anomalous_videos_found")
        ]
        missed, delay = item["events_missed"], item["median_delay_seconds"]
        rows.append(
            [
                f"{percent(item['target_false_alarm_rate'])} %",
                number(item["threshold"]),
                *pairs,
                "–" if missed is None else f"{percent(1 - missed)} %",
                "–" if delay is None else f"{delay:.1f} s",
            ]
        )
    lines += aligned(rows, left=len(header))
    return "\n".join(lines)
