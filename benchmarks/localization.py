"""Times the legacy mAP@IoU against the published algorithm written out plainly.

Both get the same input: the UCF-Crime test set of the golden files if the real data is found,
else as many videos of random length. The two must agree to the bit, or the command fails.

    python -m benchmarks.localization
    python -m benchmarks.localization --data=/path/to/data

Prints a table and, as the last line, the same numbers as JSON.
"""

import json
import os
import pathlib
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from benchmarks import records
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from refinevad_jax.errors import UserError
from refinevad_jax.metrics import legacy_localization, localization
from refinevad_jax.runtime.command_line import run

DATA = flags.DEFINE_string(
    "data",
    os.environ.get("REFINEVAD_SHARED_DATA", ""),
    "Folder with derived/ and golden/; if it is absent, video lengths are drawn at random.",
)
REPEATS = flags.DEFINE_integer("repeats", 5, "Times ours is run; the median counts.", lower_bound=1)

NUM_COLUMNS = UCF_CRIME.num_categories + 1


def analytic_probs(video: int, num_segments: int) -> np.ndarray:
    """The formula of the golden files: [T, 14] probabilities of one video."""
    t, c = np.arange(num_segments)[:, None], np.arange(NUM_COLUMNS)[None]
    logits = 2 * np.sin(0.037 * t * (c + 1) + 1.3 * video) + 1.5 * np.cos(0.11 * t + c)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def golden_input(data: pathlib.Path) -> tuple[list[int], list[np.ndarray]]:
    """Segments and spans of the 290 videos of UCF-Crime in the published order."""
    snippets = json.loads((data / "golden" / "snippets.json").read_text())["ucf"]
    annotated = json.loads((data / "derived" / "vadclip_gt_ucf.json").read_text())
    spans = []
    for entry in annotated:
        rows = [
            (int(start), int(end), UCF_CRIME.index(label))
            for (start, end), label in zip(entry["segments"], entry["labels"], strict=True)
            if not UCF_CRIME.is_normal(label)
        ]
        spans.append(np.array(rows, np.int64).reshape(-1, 3))
    return [snippets[entry["video"]] for entry in annotated], spans


def random_input() -> tuple[list[int], list[np.ndarray]]:
    """As many videos, segments and anomalous videos as UCF-Crime's test set, drawn at random."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(4.9, 0.9, 290), 10, 4000).astype(int).tolist()
    spans = []
    for video, length in enumerate(lengths):
        ends = np.sort(rng.integers(0, 16 * length, 2))
        row = [(ends[0], ends[1] + 1, video % UCF_CRIME.num_categories)]
        spans.append(np.array(row if video < 140 else [], np.int64).reshape(-1, 3))
    return lengths, spans


def plain_mean_average_precision(
    frame_probs: Sequence[np.ndarray], truth: Sequence[Sequence[tuple[int, int, int]]], iou: float
) -> float:
    """The published algorithm in plain loops over frames (docs/metrics.md, steps 1 to 6).

    frame_probs: [F, columns] per video; truth: (start, end, column) per video.
    """
    video_scores = []
    for probs in frame_probs:
        ranked = -np.sort(-probs, axis=0)
        video_scores.append(np.mean(ranked[: len(probs) // 16], axis=0))
    values = []
    for column in range(frame_probs[0].shape[1]):
        found: list[tuple[float, int, int, int]] = []
        for video, probs in enumerate(frame_probs):
            runs = plain_runs(probs[:, column], video, 0.7 * video_scores[video][column])
            found.extend(published_sort(runs))
        if not found:
            return 0.0
        free = [(v, s, e) for v, rows in enumerate(truth) for s, e, c in rows if c == column]
        values.append(plain_average_precision(published_sort(found), free, iou))
    return float(np.mean(values))


def plain_runs(scores: np.ndarray, video: int, bonus: float) -> list[tuple[float, int, int, int]]:
    """Runs of at least two frames above the relative threshold: (score, video, start, end)."""
    threshold = np.max(scores) - (np.max(scores) - np.min(scores)) * np.float64(0.6)
    runs, start = [], None
    for frame in range(len(scores) + 1):
        above = frame < len(scores) and scores[frame] > threshold
        if above and start is None:
            start = frame
        elif not above and start is not None:
            if frame - start >= 2:
                runs.append((float(np.max(scores[start:frame]) + bonus), video, start, frame))
            start = None
    return runs


def published_sort(runs: list[tuple[float, int, int, int]]) -> list[tuple[float, int, int, int]]:
    """By falling score with NumPy's default sort, on which the order of ties depends."""
    return [runs[i] for i in np.argsort(-np.array([run[0] for run in runs]))]


def plain_average_precision(
    found: list[tuple[float, int, int, int]], free: list[tuple[int, int, int]], iou: float
) -> float:
    """AP with IoU counted over sets of frames; free stretches are used up."""
    num_truth, right = len(free), []
    for _, video, start, end in found:
        frames, best, best_iou = set(range(start, end)), None, 0.0
        for number, (other, other_start, other_end) in enumerate(free):
            if other != video:
                continue
            annotated = set(range(other_start, other_end))
            value = len(frames & annotated) / len(frames | annotated)
            if value >= iou and value > best_iou:
                best, best_iou = number, value
        if best is not None:
            del free[best]
        right.append(float(best is not None))
    if not sum(right):
        return 0.0
    hits = np.cumsum(right)
    return float(np.sum(hits / np.arange(1, len(right) + 1) * right) / num_truth)


def main() -> None:
    """Runs both, compares and prints."""
    data = pathlib.Path(DATA.value)
    if DATA.present and not data.is_dir():
        raise UserError(f"--data={data}: no such folder; without --data lengths are random")
    real = (data / "golden" / "snippets.json").is_file()
    lengths, spans = golden_input(data) if real else random_input()
    probs = [analytic_probs(video, length) for video, length in enumerate(lengths)]
    times = []
    for _ in range(REPEATS.value):
        start = time.perf_counter()
        truth = localization.truth_from_spans(spans)
        found = legacy_localization.legacy_detections(probs)
        values = localization.average_precisions(found, truth, num_categories=NUM_COLUMNS)
        ours = legacy_localization.legacy_mean_average_precision(found, values)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    frame_probs = [np.repeat(video_probs, 16, axis=0) for video_probs in probs]
    rows = [[(s, e, c + 1) for s, e, c in video.tolist()] for video in spans]
    plain = [
        plain_mean_average_precision(frame_probs, rows, iou) for iou in localization.IOU_THRESHOLDS
    ]
    plain_seconds = time.perf_counter() - start
    if not np.array_equal(ours, plain):
        raise UserError(f"the two disagree: {ours.tolist()} and {plain}; one has been changed")
    seconds = records.middle(times, 4)
    print(f"mAP {', '.join(f'{100 * value:.4f}' for value in ours)} % by both, to the bit")
    result = {
        "input": "UCF-Crime test, golden input" if real else "random lengths",
        "videos": len(probs),
        "frames": 16 * sum(lengths),
        "columns": NUM_COLUMNS,
        "plain_seconds": round(plain_seconds, 3),
        "seconds": seconds,
        "speedup": round(plain_seconds / seconds, 1),
        "map_percent": (100 * ours).tolist(),
        "numpy": np.__version__,
    }
    records.finish("localization", result)


if __name__ == "__main__":
    run(main)
