"""A trained run, ready to score single videos: restored once, features checked against it.

N crops, T segments; S scores of a video, T or as many as the run's rule has bins.
"""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx

from refinevad_jax.data.bags import Bag, Modality
from refinevad_jax.data.normalization import normalization_of
from refinevad_jax.data.recordings import less_median, median_of
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.text import embedded_names
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.causal import OF_STREAM, WINDOW, CausalNetwork
from refinevad_jax.evaluation.run import check_features
from refinevad_jax.evaluation.scoring import Pooling, Scorer, VideoScores
from refinevad_jax.metrics.events import Event, propose_events
from refinevad_jax.metrics.frames import ALARM_THRESHOLD
from refinevad_jax.metrics.truth import evaluated_length, resampled_to_segment_scores
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, read_run
from refinevad_jax.runs.scoring_rule import (
    DEFAULT_RATE,
    Threshold,
    override_note,
    scoring_rule,
    stored_threshold,
)
from refinevad_jax.runs.stream_points import read_points
from refinevad_jax.runtime import commands

# The detector that ships, a published run.
SHIPPED = pathlib.Path(__file__).parents[1] / "detectors" / "survfight"


class Detector:
    """The network of a run.

    Attributes:
        run: configuration and description of the training data.
        step: number of the restored checkpoint.
        rule: how its scores are made.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        step: str,
        *,
        num_segments: int | None = None,
        allow_mismatch: bool = False,
        categories: Sequence[str] = (),
    ) -> None:
        """Restores a checkpoint. Raises UserError if the workdir holds none.

        num_segments: another resolution than that of the run; categories: names to find instead of
        those that the run was trained on, for a run whose categories are sentences.
        """
        self.workdir = workdir
        self.run = read_run(workdir)
        self._graphdef, self._params, self.step = restore(self.run, workdir, step)
        self.rule = scoring_rule(self.run, workdir, self.step, num_segments)
        self._scorer = Scorer(self._graphdef, pooling=Pooling.of(self.run.config.loss))
        self._allow_mismatch = allow_mismatch
        self._median: np.ndarray | None = None
        self._asked = tuple(categories)
        if self._asked:
            self._renamed = _renamed(self.run, self._params, self._asked)

    @property
    def network(self) -> tuple[nnx.GraphDef[Any], Any]:
        """The network's graph and its parameters as a nested dict."""
        return self._graphdef, self._params

    @property
    def categories(self) -> tuple[str, ...]:
        """C names in index order; empty for a network without categories."""
        if self._asked:
            return self._asked
        return self.run.info.taxonomy.display_names if self.run.model_config.has_core else ()

    @property
    def frames_per_segment(self) -> int:
        """Frames that one score stands for."""
        return self.run.info.frames_per_segment

    def take_recording(self, videos: Sequence[np.ndarray]) -> None:
        """Takes other videos of the same camera, [N, T, D] each, for what it usually shows.

        Their median then stands for that of an input alone. Raises UserError for a run that does
        not compare, or videos of different numbers of crops.
        """
        if not self.run.takes_differences:
            raise UserError(
                f"{self.workdir}: does not compare inputs with their recording "
                "(config.data.normalization); leave --recording out"
            )
        if len({len(video) for video in videos}) > 1:
            raise UserError("--recording: its files have different numbers of crops; give one kind")
        rows = np.concatenate([np.asarray(video, np.float16) for video in videos], axis=1)
        self._median = median_of(rows, self.run.widths)

    def require_crops(self, num_crops: int) -> None:
        """Raises UserError if the files of --recording have another number of crops."""
        if self._median is not None and len(self._median) != num_crops:
            raise UserError(
                f"--recording: {len(self._median)} crops per segment, the input has {num_crops}; "
                "give features like those of the input"
            )

    @property
    def inputs_words(self) -> str:
        """What is taken from the features of files; "" if nothing."""
        if not self.run.takes_differences:
            return ""
        if self._median is not None:
            return "features less the median of the files of --recording"
        return (
            "features less the median of each input: an event that fills more than half of it is "
            "not seen, and a stored threshold, found less the median of recordings, may let more "
            "or fewer false alarms through; --recording names other files of the same camera to "
            "compare with"
        )

    def notes(self, *, stream: bool = False) -> list[str]:
        """What a user must know of the scores: another resolution, no calibration.

        stream: whether they are those of a stream.
        """
        override = override_note(self.run, self.rule.num_segments)
        missing = f"scores are not calibrated: {self.rule.note}" if self.rule.note else ""
        own = f"features less {OF_STREAM}" if stream and self.run.takes_differences else ""
        return [note for note in (override, missing, own) if note]

    def check(
        self,
        name: str,
        width: int,
        encoder: str,
        num_crops: int,
        features: np.ndarray | None = None,
    ) -> None:
        """Refuses features that do not fit the checkpoint.

        name: the input, for the message; width: D; encoder: its name, "" if not known;
        num_crops: N; features: [..., D] of a file, whose normalisation is measured. Raises
        UserError with the reason.
        """
        trained = self.run.info
        same = width == trained.width
        found = dataclasses.replace(
            trained,
            name=name,
            encoder=encoder or trained.encoder,
            modalities=trained.modalities if same else (Modality("visual", width),),
            normalization=normalization_of(features, trained)
            if same and features is not None
            else {},
        )
        check_features(trained, found, allow_mismatch=self._allow_mismatch)
        if self.run.num_crops != num_crops and not self._allow_mismatch:
            raise UserError(
                f"{name}: {num_crops} crops per segment, the run was trained on "
                f"{self.run.num_crops}; extract that many, or average these with --allow_mismatch"
            )

    def score(self, features: np.ndarray) -> VideoScores:
        """Scores one video: [N, T, D], N crops that are averaged. Gives S scores.

        Names that were given change what the categories are and no score.
        """
        bag = Bag(
            video_id="",
            label="",
            labels=np.zeros(self.run.info.taxonomy.num_categories, bool),
            features=np.asarray(features, np.float16),
            num_frames=0,
            fps=0.0,
            spans=np.zeros((0, 3), np.int32),
            has_truth=False,
        )
        options: dict[str, Any] = {
            "columns": self.run.columns(),
            "num_segments": self.rule.num_segments,
            "calibration": self.rule.calibration,
        }
        bags = [self._input(bag)]
        (found,) = self._scorer(self._params, bags, **options)
        if not self._asked:
            return found
        (other,) = self._scorer(self._renamed, bags, **options)
        return dataclasses.replace(
            found, category_probs=other.category_probs, category_weights=other.category_weights
        )

    def _input(self, bag: Bag) -> Bag:
        """What the network takes. Raises UserError as `require_crops`."""
        if self._median is None:
            return self.run.inputs([bag])[0]
        self.require_crops(len(bag.features))
        less = less_median(bag.features, self._median, self.run.widths)
        return dataclasses.replace(bag, features=less)

    def causal(self, window: int = WINDOW) -> CausalNetwork:
        """The network for streams. window: segments that a score looks back on."""
        return CausalNetwork(
            self._graphdef, self._params, self.run, self.rule.calibration, window=window
        )

    def on_segments(self, scores: VideoScores, num_segments: int) -> VideoScores:
        """The scores [T] of the T segments of a video, which lie in S bins or are already T."""
        if not self.rule.num_segments:
            return scores
        spread = resampled_to_segment_scores(scores.scores, num_segments, self.frames_per_segment)
        return dataclasses.replace(scores, scores=spread)

    def events(
        self, scores: VideoScores, num_segments: int, num_frames: int, threshold: Threshold
    ) -> list[Event]:
        """Disjoint events in the order of time, as an evaluation finds them.

        scores: S of them, as `score` gives; num_segments: T; num_frames: events end there.
        """
        covered = evaluated_length(num_segments, self.frames_per_segment)
        return propose_events(
            scores.scores,
            scores.category_probs,
            frames_per_segment=covered / len(scores.scores),
            num_frames=num_frames,
            threshold=threshold.value,
        )

    def threshold(self, value: float | None, false_alarm_rate: float | None) -> Threshold:
        """The threshold that a user chose, itself or by its false-alarm rate.

        With neither, the one stored for DEFAULT_RATE, or ALARM_THRESHOLD if none is. Raises
        UserError if no threshold is stored for the rate and for scores made by this rule.
        """
        if value is not None:
            return Threshold(value, "given")
        rate = DEFAULT_RATE if false_alarm_rate is None else false_alarm_rate
        found = stored_threshold(self.workdir, self.run, self.rule, rate)
        if found is not None:
            return found
        made = f"step {self.step} {self.rule.resolution}"
        if false_alarm_rate is None:
            return Threshold(ALARM_THRESHOLD, f"default, as none is stored for {made}")
        data = self.run.config.data
        words = [f"--workdir={self.workdir}", f"--false_alarm_rate={rate:g}"]
        if data.selection_split != data.train_split:
            words.append(f"--split={data.selection_split}")
        if self.rule.num_segments != self.run.config.eval.num_segments:
            words.append(f"--num_segments={self.rule.num_segments}")
        raise UserError(
            f"{self.workdir}: no threshold is stored for --false_alarm_rate={rate:g} and {made}; "
            f"run {commands.spell('evaluate', *words)}"
        )

    def stream_threshold(
        self, value: float | None, false_alarm_rate: float | None, window: int = WINDOW
    ) -> Threshold:
        """As `threshold`, of streams with a window of so many segments.

        With neither value nor rate and no stored threshold of streams, the one of whole videos,
        whose origin then says that it was not made for streams.
        """
        if value is not None:
            return Threshold(value, "given")
        rate = DEFAULT_RATE if false_alarm_rate is None else false_alarm_rate
        stored = read_points(self.workdir, self.step) or {"operating_points": []}
        for point in stored["operating_points"]:
            if math.isclose(point["target_false_alarm_rate"], rate):
                source = f"{100 * rate:g} % false alarms on {stored['split']}, replayed as streams"
                if stored["window"] != window:
                    source += f" with --window={stored['window']}, not {window}"
                return Threshold(float(point["threshold"]), source, point["anomalous_videos_found"])
        words = [f"--workdir={self.workdir}", "--stream"]
        if false_alarm_rate is not None:
            command = commands.spell("evaluate", *words, f"--false_alarm_rate={rate:g}")
            raise UserError(
                f"{self.workdir}: no evaluation of step {self.step} has stored a threshold of "
                f"streams for --false_alarm_rate={rate:g}; run {command}"
            )
        found = self.threshold(None, None)
        command = commands.spell("evaluate", *words)
        return Threshold(found.value, f"{found.source}; not made for streams, run {command}")


def _renamed(run: Run, params: Any, names: tuple[str, ...]) -> Any:
    """Parameters of a run that knows these categories, by their names, in place of its own.

    Raises UserError for a run that has learned its categories, or a name that is none.
    """
    if not run.model_config.has_names:
        raise UserError(
            "--categories: this run has learned its categories and cannot be asked for others; "
            "train one with --config.model.category_names=sentences"
        )
    trained = run.info.taxonomy
    for name in names:
        if not name.strip() or trained.is_normal(name):
            raise UserError(f"--categories: {name!r} does not name an anomaly; leave it out")
    Taxonomy("of --categories", names, names)  # refuses what appears twice or cannot be shown
    return params | {"core": params["core"] | {"names": embedded_names(names)}}
