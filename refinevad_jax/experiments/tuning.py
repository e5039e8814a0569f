"""One rule for every data set: a few candidates, compared by cross-validated video-level AUC.

Only video-level labels of training videos are read. A candidate takes the place of the present
configuration if it is better by more than one standard error of the difference over the folds. One
that is level is not taken for having fewer parts: smoothing and the shift act on where in a video
scores are high, which video-level AUC does not see. The candidates come in rounds, each on top of
what the rounds before chose.

All pairs of a normal and an anomalous video of a fold are compared, those of two recordings too: a
user has one threshold for all cameras, and new ones are ranked beside each other. But with few
recordings their differences can decide the order of such pairs, and are no event. So a candidate
must not be worse within recordings either, by more than a standard error, if they have both kinds.
"""

import contextlib
import copy
import dataclasses
import hashlib
import json
import math
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm
from ml_collections import ConfigDict

from refinevad_jax.config import flat
from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.batches import check_both_kinds
from refinevad_jax.data.folds import make_folds, recordings_of
from refinevad_jax.data.recordings import in_company
from refinevad_jax.errors import UserError
from refinevad_jax.experiments.cross_validation import has_both_kinds, out_of_fold
from refinevad_jax.files.staged import write_json

# A run of fewer steps has hardly begun to learn.
FEWEST_STEPS = 100
LONGER = 3  # times as many steps, or as few
MANY_STEPS = 300  # from so many on fewer are tried, below them more
MEASURE = 2  # goes up if a stored result would mean something else: all pairs since 2
SHARE_TOGETHER = 0.5  # of the videos in recordings of several, from which these are tried
MOST_EPOCHS = 10  # of the file that is written: looks at the selection list
ALONE = {
    "model.shift": "none",
    "model.num_layers": 0,
    "model.score_smoothing": 0.0,
    "model.score_centering": 0.0,
}
NEIGHBOURS = {"model.score_smoothing": 0.06}
# What benchmarks/linear_mil.py fits, by the same two rounds: all segments of anomalous videos, then
# the highest. At the rate of a network a linear function has hardly begun in 300 steps
# (docs/learned.md).
LINEAR_STEPS = 300
LINEAR = ALONE | {
    "data.normalization": "video",
    "model.scorer_width": 0,
    "model.category_input": "features",
    "loss.mil": "segments",
    "loss.top_k_divisor": 4,
    "loss.whole_steps": LINEAR_STEPS * 2 // 3,
    "loss.smoothing_weight": 0.0,
    "optimizer.learning_rate": 1e-2,
    "optimizer.category_rate": 0.4,
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A configuration to try.

    Attributes:
        name: in the table.
        reason: why it may be better, in a sentence.
        changes: configuration keys to values, on top of what was chosen before.
    """

    name: str
    reason: str
    changes: dict[str, Any]

    def applied(self, config: ConfigDict) -> ConfigDict:
        """A copy of a configuration with the changes."""
        own = copy.deepcopy(config)
        own.update_from_flattened_dict(self.changes)
        return own


@dataclasses.dataclass(frozen=True)
class Tried:
    """What cross-validation says of a candidate.

    Attributes:
        candidate: it.
        metrics: of every fold, by name, as of `OutOfFold.measured`.
        gain: in video AUC, from what was chosen before it; None for the first.
        within: the same for pairs within recordings; None if these are not compared.
        chosen: whether it took the place.
    """

    candidate: Candidate
    metrics: dict[str, np.ndarray]
    gain: "Gain | None" = None
    within: "Gain | None" = None
    chosen: bool = False

    @property
    def acceptable(self) -> bool:
        """Whether it may take the place of what was chosen before it."""
        if self.gain is None or self.is_worse_within:
            return False
        return self.gain.mean > self.gain.error

    @property
    def is_worse_within(self) -> bool:
        """Whether it orders the videos of one recording worse, by more than a standard error."""
        return self.within is not None and self.within.mean < -self.within.error

    @property
    def sure(self) -> str:
        """How sure the comparison is, in words."""
        if self.gain is None:
            return "the start"
        words = self.gain.sure
        return f"{words}; worse within recordings" if self.is_worse_within else words


@dataclasses.dataclass(frozen=True)
class Gain:
    """Mean difference over the folds that both have, and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, own: np.ndarray, before: np.ndarray) -> "Gain":
        """Of two metrics [R x K], nan where a fold has no pair."""
        gains = own - before
        gains = gains[~np.isnan(gains)]
        few = len(gains) < 2
        error = math.inf if few else float(gains.std(ddof=1) / math.sqrt(len(gains)))
        return cls(float(gains.mean()) if len(gains) else 0.0, error)

    @property
    def sure(self) -> str:
        """How sure it is, in words."""
        if abs(self.mean) <= self.error:
            return "level"
        better = "better" if self.mean > 0 else "worse"
        return f"clearly {better}" if abs(self.mean) > 2 * self.error else better

    def __str__(self) -> str:
        """As in tables."""
        return f"{self.mean:+.4f} ± {self.error:.4f}"


def steps_of(config: ConfigDict, bags: Sequence[Bag]) -> int:
    """The steps that a run of a configuration takes on these videos, when none is held out."""
    anomalous = sum(bag.anomalous for bag in bags)
    epoch = max(1, min(anomalous, len(bags) - anomalous) // (config.train.batch_size // 2))
    return max(epoch * config.train.num_epochs, config.train.min_steps)


def start(config: ConfigDict, bags: Sequence[Bag]) -> ConfigDict:
    """The configuration that the candidates change: at least as many steps as learn anything."""
    own = copy.deepcopy(config)
    own.train.min_steps = max(steps_of(config, bags), FEWEST_STEPS)
    return own


NORMALIZATIONS = {
    "recording": "What a recording usually shows is normal there: less the median of all its "
    "videos, whatever their labels.",
    "training": "Channels may differ in scale, and the scale may tell.",
    "modality": "Lengths of features may tell recordings rather than events.",
    "video": "Recordings may differ more than what happens in them.",
}


def _other_normalizations(config: ConfigDict, by_recording: bool) -> list[Candidate]:
    """by_recording: whether most videos have others of their recording; it is the first then."""
    return [
        Candidate(f"normalization {name}", reason, {"data.normalization": name})
        for name, reason in NORMALIZATIONS.items()
        if name != config.data.normalization and (by_recording or name != "recording")
    ]


def _inputs_and_neighbours(config: ConfigDict, by_recording: bool) -> list[Candidate]:
    inputs = _other_normalizations(config, by_recording)[0]
    if not config.model.scorer_width:
        changes = {"model.score_smoothing": NEIGHBOURS["model.score_smoothing"]}
        reason = "Events last long against a segment: neighbours tell."
        smoothed = Candidate("smoothed scores", reason, changes)
        return [inputs] if config.model.score_smoothing else [inputs, smoothed]
    is_alone = all(flat(config)[key] == value for key, value in ALONE.items())
    time = dict(NEIGHBOURS if is_alone else ALONE)
    words = (
        "Events last long against a segment: neighbours tell."
        if is_alone
        else "Events may be as short as a segment: what mixes segments hides them."
    )
    name = "neighbours" if is_alone else "segments alone"
    linear = LINEAR | {"train.min_steps": LINEAR_STEPS}
    if by_recording:
        linear |= {"data.normalization": "recording"}
    return [
        inputs,
        Candidate(name, words, time),
        Candidate(f"{name}, {inputs.name}", "Both.", inputs.changes | time),
        Candidate(
            "linear",
            "A few recordings may not carry more than a weight per channel, and may differ more "
            "than what happens in them.",
            linear,
        ),
    ]


def _steps(config: ConfigDict) -> list[Candidate]:
    present = config.train.min_steps
    if present < MANY_STEPS:
        steps = LONGER * present
        reason = "A small list is passed in few steps, and may not be learned yet."
    else:
        steps = max(present // LONGER, FEWEST_STEPS)
        reason = "What is learned late may be the training videos alone."
    changes = {"train.min_steps": steps}
    if config.loss.whole_steps:
        changes["loss.whole_steps"] = config.loss.whole_steps * steps // present
    return [Candidate(f"{steps} steps", reason, changes)]


def _single_parts(config: ConfigDict, by_recording: bool) -> list[Candidate]:
    model, found = config.model, _other_normalizations(config, by_recording)
    if model.score_smoothing or model.score_centering:
        changes = {"model.score_smoothing": 0.0, "model.score_centering": 0.0}
        reason = "Scores of neighbours may differ where the network sees both already."
        found.append(Candidate("raw scores", reason, changes))
    if model.shift != "none":
        reason = "Motion between segments may say nothing here."
        found.append(Candidate("no shift", reason, {"model.shift": "none"}))
    return found


def _finer_bins(config: ConfigDict, median_segments: float) -> list[Candidate]:
    """Twice as many bins, if those of training join segments of most videos."""
    length = 2 * config.data.num_segments
    if median_segments < length:
        return []
    changes = {"data.num_segments": length}
    if config.eval.num_segments == config.data.num_segments:
        changes["eval.num_segments"] = length
    return [Candidate(f"{length} segments", "Finer bins keep short events apart.", changes)]


class Tuning:
    """Tries the candidates in order; what was tried before in the same folder is read from it."""

    def __init__(
        self,
        config: ConfigDict,
        info: BagsInfo,
        bags: list[Bag],
        folder: pathlib.Path,
        *,
        num_folds: int,
        num_repeats: int,
    ) -> None:
        """Raises UserError if the videos are of one kind or too few, or the run is a transfer."""
        if config.transfer.workdir:
            raise UserError(
                f"config.transfer.workdir={config.transfer.workdir!r}: tuning trains from the "
                "start; leave it empty, and transfer with the configuration that is chosen"
            )
        check_both_kinds(bags)
        self._labels = np.stack([bag.labels for bag in bags])
        self._recordings = np.array([bag.recording for bag in bags])
        anomalous = sum(bag.anomalous for bag in bags)
        fewest = min(anomalous, len(bags) - anomalous)
        if fewest < num_folds:
            raise UserError(
                f"--folds={num_folds}: the training list has {len(bags) - anomalous} normal and "
                f"{anomalous} anomalous videos; give fewer --folds or package more of them"
            )
        self.recordings = recordings_of(bags)
        self._config, self._info, self._bags, self._folder = config, info, bags, folder
        self._num_folds, self._num_repeats = num_folds, num_repeats

    @property
    def in_words(self) -> str:
        """The videos, how they are compared, and by how many folds."""
        anomalous = np.asarray(self._labels.any(axis=1))
        within = has_both_kinds(anomalous, self._recordings)
        also = ", those of one recording also by themselves" if within else ""
        return (
            f"{len(self._bags)} videos of {self._config.data.train_split!r} "
            f"({(~anomalous).sum()} normal, {anomalous.sum()} anomalous) in "
            f"{len(set(self.recordings))} recordings; {self._num_folds} folds, drawn "
            f"{self._num_repeats} times; each normal and anomalous video of one fold are "
            f"compared{also}."
        )

    @property
    def reason_to_keep(self) -> str:
        """Why no candidate can be compared with another on this data, "" if they can."""
        groups = len(set(self.recordings))
        anomalous = self._labels.any(axis=1)
        for seed in range(self._config.seed, self._config.seed + self._num_repeats):
            folds = make_folds(self._bags, self.recordings, self._num_folds, seed)
            for kind, videos in (("normal", ~anomalous), ("anomalous", anomalous)):
                if groups >= self._num_folds and len(set(folds[videos])) < 2:
                    return (
                        f"All {kind} training videos are of one recording, so that networks that "
                        "do not see it are trained on the other kind alone. The configuration "
                        "stays as it was given."
                    )
        if groups >= self._num_folds:
            return ""
        return (
            f"The {len(self._bags)} training videos are of {groups} recordings (videos that share "
            f"segments count as one), fewer than the {self._num_folds} folds: no part of them is "
            "new to a network trained on the others. The configuration stays as it was given."
        )

    def run(self) -> tuple[ConfigDict, list[Tried]]:
        """The configuration that the rule chooses, and what was tried, in order."""
        config = start(self._config, self._bags)
        if self.reason_to_keep:
            return copy.deepcopy(self._config), []
        first = Candidate("as given", "What the others are compared with.", {})
        tried = [self._try(first, config, None)]
        present = tried[0]
        median = statistics.median(bag.num_segments for bag in self._bags)
        by_recording = in_company(self._bags) >= SHARE_TOGETHER * len(self._bags)
        for candidates in (
            lambda config: _inputs_and_neighbours(config, by_recording),
            _steps,
            lambda config: [*_single_parts(config, by_recording), *_finer_bins(config, median)],
        ):
            found = [self._try(one, config, present) for one in candidates(config)]
            better = [one for one in found if one.acceptable]
            best = max(better, key=lambda one: one.metrics["video_auc"].mean(), default=None)
            if best is not None:
                index = found.index(best)
                found[index] = present = dataclasses.replace(best, chosen=True)
                config = best.candidate.applied(config)
            tried += found
        return finished(config, self._bags), tried

    def _try(self, candidate: Candidate, config: ConfigDict, present: Tried | None) -> Tried:
        own = candidate.applied(config)
        metrics = self._metrics(candidate.name, own)
        if present is None:
            return Tried(candidate, metrics, chosen=True)
        gains = {
            name: Gain.of(metrics[name], present.metrics[name])
            for name in ("video_auc", "within_auc")
            if name in metrics
        }
        found = Tried(candidate, metrics, gains["video_auc"], gains.get("within_auc"))
        print(f"  {in_words(found)}", flush=True)
        return found

    def _metrics(self, name: str, config: ConfigDict) -> dict[str, np.ndarray]:
        """Of every fold; kept in a file of the folder, whose name follows from the settings."""
        settings = [_what_counts(config), self._num_folds, self._num_repeats, self._digest()]
        settings.append(MEASURE)
        text = json.dumps(settings, sort_keys=True)
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError):  # not there, or damaged
            stored = {k: np.array(v, float) for k, v in json.loads(path.read_bytes()).items()}
            if np.isfinite(stored["video_auc"]).all():
                print(f"{name}: tried before, {path}", flush=True)
                return stored
        steps = config.train.min_steps
        with tqdm.tqdm(total=steps, desc=name, unit="step") as bar:
            found = out_of_fold(
                config,
                self._info,
                self._bags,
                self.recordings,
                num_folds=self._num_folds,
                num_repeats=self._num_repeats,
                num_steps=steps,
                progress=bar.update,
            )
        metrics = found.measured(self._labels, self._recordings)
        if not len(metrics.get("video_auc", ())):
            raise UserError(
                "no fold has both normal and anomalous videos to compare: the recordings are too "
                "few or of one kind; give fewer --folds"
            )
        written = {  # JSON has no nan
            key: [None if math.isnan(one) else one for one in value.tolist()]
            for key, value in metrics.items()
        }
        write_json(path, written)
        return metrics

    def _digest(self) -> str:
        """Of what the candidates are compared on: where the data came from, and its videos."""
        videos = [(bag.video_id, bag.label, bag.features.shape) for bag in self._bags]
        about = {**self._info.to_dict(), "name": ""}
        rows = [float(np.abs(bag.features[0, :1].astype(np.float32)).sum()) for bag in self._bags]
        text = repr([about, videos, self.recordings, self._recordings.tolist(), rows])
        return hashlib.sha256(text.encode()).hexdigest()


def in_words(tried: Tried) -> str:
    """One line on what a candidate gives."""
    auc = f"video AUC {tried.metrics['video_auc'].mean():.4f}"
    if tried.gain is None:
        return auc
    return f"{auc}, {tried.gain}: {tried.sure}"


def finished(config: ConfigDict, bags: Sequence[Bag]) -> ConfigDict:
    """The configuration to train with: the number of steps is chosen, so the last one is taken."""
    own = copy.deepcopy(config)
    passes = own.train.min_steps // steps_of(_one_epoch(own), bags)
    own.train.num_epochs = min(max(passes, 1), MOST_EPOCHS)
    own.train.selection_metric = "step"
    return own


def _one_epoch(config: ConfigDict) -> ConfigDict:
    own = copy.deepcopy(config)
    own.train.update(num_epochs=1, min_steps=0)
    return own


def _what_counts(config: ConfigDict) -> dict[str, Any]:
    """The settings that a result of cross-validation depends on."""
    places = ("data.data_dir", "data.device_limit_gb", "data.host_limit_gb", "num_seeds")
    choice = ("data.selection_split", "data.selection_fraction", "train.selection_metric")
    later = ("eval.num_segments", "train.num_epochs")
    kept = flat(config)
    return {key: value for key, value in kept.items() if key not in places + choice + later}


def differences(config: ConfigDict, base: ConfigDict) -> dict[str, Any]:
    """Keys whose values differ from another configuration's."""
    return {key: value for key, value in flat(config).items() if flat(base)[key] != value}
