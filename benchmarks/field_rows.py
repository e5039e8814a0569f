"""What a field of the configuration gives on training videos that a network was not trained on.

V videos, T segments, C categories, R draws of the folds.
"""

import copy
import csv
import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tqdm
from ml_collections import ConfigDict

from refinevad_jax.config import flat
from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.folds import recordings_of
from refinevad_jax.errors import UserError
from refinevad_jax.experiments.cross_validation import OutOfFold, out_of_fold
from refinevad_jax.experiments.ladder_rows import what_is_read
from refinevad_jax.experiments.tuning import steps_of
from refinevad_jax.files.staged import write_json
from refinevad_jax.metrics.frames import roc_auc
from refinevad_jax.report.tables import markdown_table

# What the paper does not state, by the name of its row: its key, the value that leaves it out, the
# value tried where a configuration leaves it out. The shift is the paper's, beside them to compare.
FIELDS: dict[str, tuple[str, Any, Any]] = {
    "score_centering": ("model.score_centering", 0.0, 0.5),
    "category_rate": ("optimizer.category_rate", 1.0, 4.0),
    "score_smoothing": ("model.score_smoothing", 0.0, 0.06),
    "shift": ("model.shift", "none", "adaptive"),
    "category_input": ("model.category_input", "encoder", "features"),
    "normalization": ("data.normalization", "modality", "training"),
}
COLUMNS = {
    "video_auc": "video AUC",
    "category_accuracy": "categories",
    "pooled": "pooled",
    "anomalous": "in anomalous videos",
    "inside": "inside single ones",
}
Columns = dict[str, list[float]]  # of one draw of the folds, a value per fold
FAR = 0.2  # of a video, from every labelled moment: a segment there counts as normal


@dataclasses.dataclass(frozen=True)
class Places:
    """Where events are known to be.

    Attributes:
        event: [V, T] bool, segments in an event.
        other: [V, T] bool, segments that are in none, of all videos.
    """

    event: np.ndarray
    other: np.ndarray

    @classmethod
    def of(cls, bags: Sequence[Bag], num_segments: int, moments: Mapping[str, Any]) -> "Places":
        """By frame truth if the training videos have it, or by moments: frames by video."""
        event = np.zeros((len(bags), num_segments), bool)
        other = np.zeros_like(event)
        middle = (np.arange(num_segments) + 0.5) / num_segments
        for row, bag in enumerate(bags):
            times = np.array(moments.get(bag.video_id, ())) / bag.num_frames
            times = times[times < 1]
            if not bag.anomalous:
                other[row] = True
            elif len(times):
                event[row, (times * num_segments).astype(int)] = True
                other[row] = np.abs(middle[:, None] - times).min(axis=1) > FAR
            elif bag.has_truth:
                edges = bag.spans[:, :2] / bag.num_frames
                event[row] = ((edges[:, :1] <= middle) & (middle < edges[:, 1:])).any(axis=0)
                other[row] = ~event[row]
        return cls(event, other)

    def measured(self, logits: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
        """The columns of place for some videos, those that are defined; {} without known events.

        An event that fills its video has nothing inside this video to be told from.
        logits: [V, T]; chosen: [V] bool.
        """
        event, other, values = self.event[chosen], self.other[chosen], logits[chosen]
        known = event.any(axis=1)
        if not known.any():
            return {}
        counted = event | other
        within = counted & known[:, None]
        pairs = [i for i in np.flatnonzero(known) if other[i].any()]
        inside = [roc_auc(event[i][within[i]], values[i][within[i]]) for i in pairs]
        found = {
            "pooled": roc_auc(event[counted], values[counted]),
            "anomalous": roc_auc(event[within], values[within]),
            "inside": float(np.mean(inside)) if inside else float("nan"),
        }
        return {name: value for name, value in found.items() if not np.isnan(value)}


@dataclasses.dataclass(frozen=True)
class TrainingVideos:
    """The training videos of a data set, their recordings, and where their events are."""

    info: BagsInfo
    bags: list[Bag]
    recordings: list[str]
    places: Places

    @classmethod
    def read(cls, config: ConfigDict, name: str, moments: Mapping[str, Any]) -> "TrainingVideos":
        """Of the data set of that name, below the folder that the configuration names."""
        data = config.data
        info = read_info(data.data_dir, name)
        bags = read_split(data.data_dir, name, data.train_split, memory_gb=data.host_limit_gb)
        places = Places.of(bags, data.num_segments, moments)
        return cls(info, bags, recordings_of(bags), places)

    def measured(self, found: OutOfFold) -> list[Columns]:
        """The columns of every draw."""
        labels = np.stack([bag.labels for bag in self.bags])
        own = np.array([bag.recording for bag in self.bags])
        draws = []
        for folds, results in zip(found.folds, found.results, strict=True):
            draw = OutOfFold(folds[None], [results])
            columns = {name: v.tolist() for name, v in draw.measured(labels, own).items()}
            if labels.shape[1] == 1:  # the only category is always the right one
                columns.pop("category_accuracy", None)
            logits = np.stack([result.logits for result in results])
            for fold in np.unique(folds):
                for name, value in self.places.measured(logits, folds == fold).items():
                    columns.setdefault(name, []).append(value)
            draws.append(columns)
        return draws


def read_moments(path: pathlib.Path) -> dict[str, list[int]]:
    """Frames by video of a file `video-id,glance`, as GlanceVAD's. Raises UserError."""
    found: dict[str, list[int]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["video-id"], []).append(int(row["glance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--moments={path}: not a file of video-id,glance ({error})") from error
    return found


def unread(config: ConfigDict, fields: Sequence[str]) -> list[str]:
    """Those of the fields whose other value nothing reads: their rows would be zeros."""
    own = what_is_read(config)
    found = []
    for field in fields:
        other = copy.deepcopy(config)
        other.update_from_flattened_dict(other_value(config, field))
        if what_is_read(other) == own:
            found.append(field)
    return found


def other_value(config: ConfigDict, field: str) -> dict[str, Any]:
    """The change of a row: the field left out, or tried if the configuration leaves it out."""
    key, neutral, value = FIELDS[field]
    left_out = flat(config)[key] == neutral
    return {key: value if left_out else neutral}


def run_row(
    config: ConfigDict,
    changes: Mapping[str, Any],
    videos: TrainingVideos,
    path: pathlib.Path,
    *,
    num_folds: int,
    num_repeats: int,
) -> list[Columns]:
    """The columns of a row on a data set, of every draw of the folds; kept in a file.

    Raises UserError for a file that was made with other settings or data.
    """
    own = copy.deepcopy(config)
    own.update_from_flattened_dict(dict(changes))
    info = videos.info
    found = {
        "config": own.to_dict(),
        "data": [info.name, info.provenance],
        "folds": num_folds,
        "repeats": num_repeats,
    }
    settings = json.loads(json.dumps(found))
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["settings"] != settings:
            raise UserError(f"{path}: of other settings or data; choose another --workdir")
        return list(stored["draws"])
    steps = steps_of(own, videos.bags)
    with tqdm.tqdm(total=steps, desc=f"{path.stem}, {info.name}", unit="step") as bar:
        scored = out_of_fold(
            own,
            info,
            videos.bags,
            videos.recordings,
            num_folds=num_folds,
            num_repeats=num_repeats,
            num_steps=steps,
            progress=bar.update,
        )
    draws = videos.measured(scored)
    write_json(path, {"settings": settings, "draws": draws})
    return draws


def table(config: ConfigDict, rows: Mapping[str, Sequence[Columns]], base: str) -> str:
    """Markdown: the configuration, then what each field gives, whichever of the two has it.

    rows: the draws by field, and those of the configuration under `base`.
    """
    own = rows[base]
    shown = [name for name in COLUMNS if any(draw.get(name) for draw in own)]
    means = (np.concatenate([draw.get(name, []) for draw in own]).mean() for name in shown)
    cells = [[base, *(f"{mean:.4f}" for mean in means)]]
    for field, found in rows.items():
        if field == base:
            continue
        key, neutral, _ = FIELDS[field]
        sign = 1 if flat(config)[key] != neutral else -1
        has = "" if sign > 0 else ", not in the configuration"
        gains = (
            [
                sign * (np.array(one[name]) - np.array(other[name]))
                for one, other in zip(own, found, strict=True)
                if one.get(name)
            ]
            for name in shown
        )
        cells.append([f"`{key}`{has}", *map(_in_words, gains)])
    note = (
        f"Out of fold, draws of the folds: {len(own)}. The first row: the configuration. Then what "
        "each field gives, with it less without it: mean ± standard error of the paired difference "
        "over the folds of one draw, which share training videos (drawing again adds no videos); "
        "of several draws, in how many the gain is above 0. In bold what is above two errors."
    )
    lines = markdown_table(["what the field gives", *(COLUMNS[name] for name in shown)], cells)
    return "\n".join([*lines, "", note]) + "\n"


def _in_words(draws: list[np.ndarray]) -> str:
    """Of the gains of every draw, a value per fold."""
    variances = [gains.var(ddof=1) / len(gains) if len(gains) > 1 else np.nan for gains in draws]
    mean, error = np.concatenate(draws).mean(), np.mean(variances) ** 0.5
    above = sum(gains.mean() > 0 for gains in draws)
    text = f"{mean:+.4f} ± {error:.4f}"
    text = f"**{text}**" if abs(mean) > 2 * error else text
    return text if len(draws) == 1 else f"{text}, {above} of {len(draws)}"
