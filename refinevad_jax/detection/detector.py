"""A trained run, ready to score single videos: restored once, features checked against it."""

import dataclasses
import math
import pathlib

import numpy as np

from refinevad_jax.data.bags import Bag, Modality
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.causal import WINDOW, CausalNetwork
from refinevad_jax.evaluation.numbers import TARGET_FALSE_ALARM_RATE
from refinevad_jax.evaluation.run import check_features
from refinevad_jax.evaluation.scoring import Scorer, VideoScores
from refinevad_jax.metrics.events import Event, propose_events
from refinevad_jax.metrics.frames import ALARM_THRESHOLD
from refinevad_jax.runs import evaluations
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import read_run
from refinevad_jax.runs.stream_points import read_points
from refinevad_jax.runtime import commands

# The detector that ships, a published run.
SHIPPED = pathlib.Path(__file__).parents[1] / "detectors" / "survfight"


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold on segment scores, and its origin in words."""

    value: float
    source: str


class Detector:
    """The network of a run.

    Attributes:
        run: configuration and description of the training data.
        step: number of the restored checkpoint.
    """

    def __init__(self, workdir: pathlib.Path, step: str, *, allow_mismatch: bool = False) -> None:
        """Restores a checkpoint. Raises UserError if the workdir holds none."""
        self.workdir = workdir
        self.run = read_run(workdir)
        self._graphdef, self._params, self.step = restore(self.run, workdir, step)
        self._scorer = Scorer(self._graphdef, top_k_divisor=self.run.config.loss.top_k_divisor)
        self._allow_mismatch = allow_mismatch

    @property
    def categories(self) -> tuple[str, ...]:
        """C names in index order; empty for a network without categories."""
        return self.run.info.taxonomy.display_names if self.run.model_config.has_core else ()

    @property
    def frames_per_segment(self) -> int:
        """Frames that one score stands for."""
        return self.run.info.frames_per_segment

    def check(self, name: str, width: int, encoder: str, num_crops: int) -> None:
        """Refuses features that do not fit the checkpoint.

        name: the input, for the message; width: D; encoder: its name, "" if not known;
        num_crops: N. Raises UserError with the reason.
        """
        trained = self.run.info
        same = width == trained.width
        found = dataclasses.replace(
            trained,
            name=name,
            encoder=encoder or trained.encoder,
            modalities=trained.modalities if same else (Modality("visual", width),),
            normalization={},
        )
        check_features(trained, found, allow_mismatch=self._allow_mismatch)
        if self.run.num_crops != num_crops and not self._allow_mismatch:
            raise UserError(
                f"{name}: {num_crops} crops per segment, the run was trained on "
                f"{self.run.num_crops}; extract that many, or average these with --allow_mismatch"
            )

    def score(self, features: np.ndarray) -> VideoScores:
        """Scores one video: [N, T, D], N crops that are averaged."""
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
        (found,) = self._scorer(self._params, [bag], columns=self.run.columns(), num_segments=0)
        return found

    def causal(self, window: int = WINDOW) -> CausalNetwork:
        """The network for streams. window: segments that a score looks back on."""
        return CausalNetwork(self._graphdef, self._params, self.run, window)

    def events(self, scores: VideoScores, num_frames: int, threshold: Threshold) -> list[Event]:
        """Disjoint events in the order of time."""
        return propose_events(
            scores.scores,
            scores.category_probs,
            frames_per_segment=self.frames_per_segment,
            num_frames=num_frames,
            threshold=threshold.value,
        )

    def threshold(self, value: float | None, false_alarm_rate: float | None) -> Threshold:
        """The threshold that a user chose, itself or by its false-alarm rate.

        With neither, the one stored for TARGET_FALSE_ALARM_RATE, or ALARM_THRESHOLD if none is.
        Raises UserError if no evaluation of this checkpoint has stored the rate on the run's data
        set with one score per segment, as detection gives them.
        """
        if value is not None:
            return Threshold(value, "given")
        rate = TARGET_FALSE_ALARM_RATE if false_alarm_rate is None else false_alarm_rate
        found = self._stored(rate)
        if found is not None:
            return found
        if false_alarm_rate is None:
            return Threshold(ALARM_THRESHOLD, "default, as no evaluation has stored one")
        full = ["--num_segments=0"] if self.run.config.eval.num_segments else []
        command = commands.spell(
            "evaluate", f"--workdir={self.workdir}", f"--false_alarm_rate={rate:g}", *full
        )
        raise UserError(
            f"{self.workdir}: no evaluation of step {self.step} has stored a threshold for "
            f"--false_alarm_rate={rate:g}; run {command}"
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
        rate = TARGET_FALSE_ALARM_RATE if false_alarm_rate is None else false_alarm_rate
        stored = read_points(self.workdir, self.step) or {"operating_points": []}
        for point in stored["operating_points"]:
            if math.isclose(point["target_false_alarm_rate"], rate):
                source = f"{100 * rate:g} % false alarms on {stored['split']}, replayed as streams"
                if stored["window"] != window:
                    source += f" with --window={stored['window']}, not {window}"
                return Threshold(float(point["threshold"]), source)
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

    def _stored(self, rate: float) -> Threshold | None:
        """The threshold stored for a rate; one of a validation split before one of a test split."""
        found = [
            (content["split"] == "test", name, content)
            for name, content in evaluations.operating_points(self.workdir).items()
            if content["step"] == self.step
            and content["dataset"] == self.run.config.data.dataset
            and not content["num_segments"]
            and math.isclose(content["operating_point"]["target_false_alarm_rate"], rate)
        ]
        if not found:
            return None
        _, _, content = min(found, key=lambda item: item[:2])
        source = f"{100 * rate:g} % false alarms on {content['split']}"
        return Threshold(float(content["operating_point"]["threshold"]), source)
