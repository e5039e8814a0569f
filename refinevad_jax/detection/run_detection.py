"""One detection from inputs to the folder of events, scores and pages."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import tqdm

from refinevad_jax.detection import outputs
from refinevad_jax.detection.annotated import annotate
from refinevad_jax.detection.detector import Detector, Threshold
from refinevad_jax.detection.inputs import (
    ENCODERS,
    Features,
    encode_video,
    find_inputs,
    read_features,
)
from refinevad_jax.detection.page import playable, transcode, write_page
from refinevad_jax.encoders.crops import NUM_CROPS
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.loading import load_visual_encoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_json, write_text


@dataclasses.dataclass(frozen=True)
class DetectionSettings:
    """How videos are encoded.

    Attributes:
        encoder: a name of refinevad_jax.encoders.loading.VISUAL, "" for the one of the run.
        weights: file of weights, for the encoders that need one.
        num_crops: 1 or 10; 0 for as many as the run was trained on.
        batch_size: segments encoded at a time.
        annotate: whether videos are written again with scores and events drawn in.
    """

    encoder: str = ""
    weights: str = ""
    num_crops: int = 0
    batch_size: int = 4
    annotate: bool = False


def load_encoder(detector: Detector, settings: DetectionSettings) -> VisualEncoder:
    """The encoder that the run was trained on, or the one asked for, checked against the run.

    Raises UserError if the run's features came from none of the encoders here.
    """
    if detector.frames_per_segment != FRAMES_PER_SEGMENT:
        raise UserError(
            f"{detector.workdir}: trained on segments of {detector.frames_per_segment} frames, "
            f"videos are cut into {FRAMES_PER_SEGMENT}; give feature files (.npy)"
        )
    trained = detector.run.info.encoder
    name = settings.encoder or ENCODERS.get(trained, "")
    if not name:
        raise UserError(
            f"{detector.workdir}: trained on features of {trained!r}, which no encoder here makes; "
            "give feature files (.npy), or --encoder with --allow_mismatch"
        )
    encoder = load_visual_encoder(name, settings.weights)
    num_crops = choose_crops(detector, settings)
    detector.check(f"videos by {name}", encoder.width, encoder.name, num_crops)
    return encoder


def choose_crops(detector: Detector, settings: DetectionSettings) -> int:
    """The number of crops asked for, or else that of the run, 1 if it is not known.

    Raises UserError if no encoder cuts as many.
    """
    chosen = settings.num_crops or detector.run.num_crops or 1
    if chosen not in NUM_CROPS:
        raise UserError(
            f"{detector.workdir}: trained on {chosen} crops per segment, but 1 or 10 are cut; "
            "give --num_crops with --allow_mismatch"
        )
    return chosen


def detect(
    detector: Detector,
    threshold: Threshold,
    inputs: Sequence[str],
    output: pathlib.Path,
    settings: DetectionSettings,
) -> dict[str, Any]:
    """Detects in every input and writes events.json, and a CSV and a page for each.

    Returns what events.json holds. An input that cannot be read does not end the others: UserError
    is raised at the end. Raises OSError if the output cannot be written.
    """
    found = find_inputs(inputs)
    _keep_inputs(found, output)
    is_video = [path.suffix.lower() != ".npy" for path in found.values()]
    encoder = None
    if any(is_video):
        settings = dataclasses.replace(settings, num_crops=choose_crops(detector, settings))
        encoder = load_encoder(detector, settings)
    described, failed = [], []
    for name, path in found.items():
        try:
            features = _features(path, encoder, settings, detector.frames_per_segment)
            num_crops, _, width = features.features.shape
            detector.check(str(path), width, features.encoder, num_crops)
        except UserError as error:
            failed.append(str(error))
            continue
        described.append(_write(detector, threshold, name, features, output, settings))
        print(_summary(described[-1], output))
    content = outputs.run_facts(detector, threshold) | {"videos": described}
    if described:
        write_json(output / "events.json", content)
    if len(failed) == 1:
        raise UserError(failed[0])
    if failed:
        raise UserError(f"{len(failed)} of {len(found)} inputs failed: " + "; ".join(failed))
    return content


def _keep_inputs(found: dict[str, pathlib.Path], output: pathlib.Path) -> None:
    """Raises UserError if an output would take the place of an input."""
    given = {path.resolve() for path in found.values()}
    for name in found:
        for path in outputs.output_paths(output, name).values():
            if path.resolve() in given:
                raise UserError(
                    f"--output={output}: {path} would be written over, but it is an input; choose "
                    "another folder"
                )


def _features(
    path: pathlib.Path,
    encoder: VisualEncoder | None,
    settings: DetectionSettings,
    frames_per_segment: int,
) -> Features:
    if encoder is None or path.suffix.lower() == ".npy":
        return read_features(path, frames_per_segment)
    with tqdm.tqdm(desc=path.name, unit="segment", leave=False) as bar:
        return encode_video(
            path,
            encoder,
            num_crops=settings.num_crops,
            batch_size=settings.batch_size,
            progress=bar.update,
        )


def _write(
    detector: Detector,
    threshold: Threshold,
    name: str,
    features: Features,
    output: pathlib.Path,
    settings: DetectionSettings,
) -> dict[str, Any]:
    scores = detector.score(features.features)
    events = detector.events(scores, features.num_frames, threshold)
    size = detector.frames_per_segment
    paths = outputs.output_paths(output, name)
    shown, video = features, None
    if features.thumbnails:
        video = features.path
        if not playable(video):
            video = paths["playable.mp4"]
            shown = transcode(features, video)
    facts = outputs.run_facts(detector, threshold)
    described = [
        outputs.describe(name, one, scores, events, detector.categories, size)
        for one in (features, shown)
    ]
    write_text(paths["csv"], outputs.segment_table(features, scores, events, size))
    write_page(paths["html"], described[1], facts, shown, scores, video)
    if settings.annotate and features.thumbnails:
        annotate(features, described[0], scores.scores, threshold.value, paths["annotated.mp4"])
    return described[0]


def _summary(described: dict[str, Any], output: pathlib.Path) -> str:
    lines = [f"{described['name']}: {len(described['events'])} events"]
    for event in described["events"]:
        times = f"{event['start_seconds']:8.2f} .. {event['end_seconds']:8.2f} s"
        lines.append(f"  {times}  {event['score']:.3f}  {event['category'] or 'anomaly'}")
    lines += [f"  warning: {warning}" for warning in described["warnings"]]
    return "\n".join([*lines, f"  {output / described['name']}.html"])
