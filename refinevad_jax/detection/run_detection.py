"""One detection from inputs to the folder of events, scores and pages."""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import tqdm

from refinevad_jax.detection import outputs
from refinevad_jax.detection.annotated import annotate
from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.event_files import notes, write_event_files
from refinevad_jax.detection.features import (
    ASSUMED,
    FLAG,
    Features,
    Rate,
    encode_videos,
    read_features,
    read_thumbnails,
)
from refinevad_jax.detection.index import Row, write_index
from refinevad_jax.detection.inputs import ENCODERS, find_inputs, is_text, is_video
from refinevad_jax.detection.page import (
    middle_segment,
    picture_of,
    playable,
    rate_note,
    transcode,
    write_page,
)
from refinevad_jax.encoders.crops import NUM_CROPS
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.loading import load_visual_encoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import TEXTS, feature_paths, file_of
from refinevad_jax.files.staged import write_json, write_text
from refinevad_jax.runs.scoring_rule import Threshold
from refinevad_jax.runtime.command_line import one_line


@dataclasses.dataclass(frozen=True)
class DetectionSettings:
    """How videos are encoded.

    Attributes:
        encoder: a name of refinevad_jax.encoders.loading.VISUAL, "" for the one of the run.
        weights: file of weights, for the encoders that need one.
        num_crops: 1 or 10; 0 for as many as the run was trained on.
        batch_size: segments encoded at a time.
        annotate: whether videos are written again with scores and events drawn in.
        fps: frames per second of feature files whose record states none.
        events: names of event_files.FORMATS, in which events are written too.
        recording: files or folders of features of the inputs' camera, see
            `Detector.take_recording`.
    """

    encoder: str = ""
    weights: str = ""
    num_crops: int = 0
    batch_size: int = 4
    annotate: bool = False
    fps: float | None = None
    events: tuple[str, ...] = ()
    recording: tuple[str, ...] = ()


def rate_of_features(detector: Detector, settings: DetectionSettings) -> Rate:
    """The frames per second of a feature file whose record states none."""
    info = detector.run.info
    if settings.fps:
        return Rate(settings.fps, FLAG)
    if info.fps:
        return Rate(info.fps, f"as in data set {info.name}, on which the run was trained")
    return ASSUMED


def load_encoder(detector: Detector, settings: DetectionSettings, num_crops: int) -> VisualEncoder:
    """The encoder that the run was trained on, or the one asked for, checked against the run.

    Raises UserError if no encoder here makes the features of the run.
    """
    if detector.frames_per_segment != FRAMES_PER_SEGMENT:
        raise UserError(
            f"{detector.workdir}: trained on segments of {detector.frames_per_segment} frames, "
            f"videos are cut into {FRAMES_PER_SEGMENT}; give feature files (.npy)"
        )
    trained = detector.run.info.encoder
    name = settings.encoder or ENCODERS.get(trained, "")
    if not name:
        cure = "give feature files (.npy) with the channels of all its encoders"
        if " + " not in trained:
            cure = (
                "if they came from data_prep.extract, package them again with --encoder=i3d (or "
                "clip) and train again; otherwise give feature files (.npy)"
            )
        raise UserError(
            f"{detector.workdir}: this run was trained on features labelled {trained!r}, so videos "
            f"cannot be encoded the same way; {cure}"
        )
    encoder = load_visual_encoder(name, settings.weights)
    detector.check(f"videos by {name}", encoder.width, encoder.name, num_crops)
    return encoder


def choose_crops(detector: Detector, settings: DetectionSettings) -> int:
    """The number of crops asked for, or else that of the run.

    Raises UserError if no encoder cuts as many.
    """
    chosen = settings.num_crops or detector.run.num_crops
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
    """Detects in every input and writes events.json, index.html, and a CSV and a page for each.

    Returns what events.json holds. An input that cannot be read does not end the others: UserError
    is raised at the end. Raises OSError if the output cannot be written.
    """
    found = find_inputs(inputs, output)
    _keep_inputs(found, output)
    if settings.fps and all(map(is_video, found.values())):
        raise UserError("--fps has no effect on videos, which state it; leave it out")
    if settings.recording:
        detector.take_recording(_read_recording(detector, settings))
    if detector.inputs_words:
        print(detector.inputs_words, flush=True)
    rows: list[Row] = []
    failed: list[str] = []
    unnamed = 0
    with contextlib.closing(_read_all(found, detector, output, settings)) as inputs_read:
        for name, features in inputs_read:
            try:
                if isinstance(features, UserError):
                    raise features
                row = _write(detector, threshold, name, features, output, settings.annotate)
            except UserError as error:
                failed.append(one_line(error))
                continue
            unnamed += not features.encoder
            rows.append(row)
            # Between two pictures of the bar.
            tqdm.tqdm.write(_summary(row.described, features, settings.annotate))
    if unnamed:
        print(
            f"inputs that do not state their encoder: {unnamed}; taken for features of "
            f"{one_line(detector.run.info.encoder)}, as the run was trained on"
        )
    facts = outputs.run_facts(detector, threshold)
    content = facts | {"videos": [row.described for row in rows]}
    if rows:
        write_json(output / "events.json", content)
        write_index(output / "index.html", facts, rows, failed)
        written = write_event_files(output, content["videos"], settings.events)
        for path in written:
            print(f"events: {path}")
        for note in notes(output, content["videos"], settings.events, written):
            print(one_line(note))
        page = "index" if len(found) > 1 else rows[0].described["name"]
        print(f"open in a browser: {output / page}.html", flush=True)
    if len(failed) == 1:
        raise UserError(failed[0])
    if failed:
        for reason in failed:
            print(f"failed: {reason}", file=sys.stderr)
        raise UserError(f"{len(failed)} of {len(found)} inputs failed, listed above")
    return content


def _read_recording(detector: Detector, settings: DetectionSettings) -> list[np.ndarray]:
    """The features of all files of --recording. Raises UserError for one that does not fit."""
    videos = []
    for text in settings.recording:
        root = pathlib.Path(text)
        if not text or not (root.is_dir() or file_of(root).is_file()):
            raise UserError(f"--recording={text}: no such file or folder; check the path")
        if not root.is_dir() and is_video(root):
            raise UserError(
                f"--recording={text}: is not a file of features; a first detect of the camera's "
                "videos writes such files to the folder features of its output"
            )
        paths = list(feature_paths(root)) if root.exists() else [root]  # or an array of a file
        paths = [path for path in paths if path.suffix.lower() not in TEXTS] or paths
        if not paths:
            raise UserError(f"--recording={text}: no file of features in it; check the path")
        for path in paths:
            found = _read_checked(path, detector, settings)
            if isinstance(found, UserError):
                raise UserError(f"--recording: {found}")
            videos.append(found.features)
    return videos


def _read_all(
    found: dict[str, pathlib.Path],
    detector: Detector,
    output: pathlib.Path,
    settings: DetectionSettings,
) -> Generator[tuple[str, Features | UserError]]:
    """The inputs by name in their order, or why they cannot be read; videos are read ahead."""
    videos = {name: path for name, path in found.items() if is_video(path) and is_text(path)}
    with contextlib.ExitStack() as stack:
        if videos:
            num_crops = choose_crops(detector, settings)
            detector.require_crops(num_crops)
            encoded = encode_videos(
                [
                    (path, outputs.output_paths(output, name)["npy"])
                    for name, path in videos.items()
                ],
                load_encoder(detector, settings, num_crops),
                num_crops=num_crops,
                batch_size=settings.batch_size,
            )
            stack.enter_context(contextlib.closing(encoded))
        for name, path in found.items():
            of_video = name in videos
            yield name, next(encoded) if of_video else _read_checked(path, detector, settings)


def _read_checked(
    path: pathlib.Path, detector: Detector, settings: DetectionSettings
) -> Features | UserError:
    """A feature file that fits the run, or why it cannot be read or does not fit."""
    run = detector.run
    try:
        if not is_text(path):
            raise UserError(f"{path}: its name is not in UTF-8; rename it")
        found = read_features(
            path,
            detector.frames_per_segment,
            rate_of_features(detector, settings),
            num_crops=run.num_crops,
            width=run.info.width,
        )
        crops, _, width = found.features.shape
        detector.check(str(path), width, found.encoder, crops, found.features)
    except UserError as error:
        return error
    return found


def _keep_inputs(found: dict[str, pathlib.Path], output: pathlib.Path) -> None:
    """Raises UserError if an output would take the place of an input or of the record beside it."""
    given = {path.resolve() for path in found.values()}
    given |= {path.with_suffix(".json") for path in given if not is_video(path)}
    if "index" in found:
        raise UserError(
            f"{found['index']}: its page would be index.html, the page of all; rename it"
        )
    written = [output / "events.json", output / "index.html"]
    for name, path in found.items():
        paths = outputs.output_paths(output, name)
        written += [paths[kind] for kind in paths if is_video(path) or kind not in ("npy", "json")]
    for path in written:
        if path.resolve() in given:
            raise UserError(
                f"--output={output}: {path} would be written over, but it is an input; choose "
                "another folder"
            )


def _write(
    detector: Detector,
    threshold: Threshold,
    name: str,
    features: Features,
    output: pathlib.Path,
    annotated: bool,
) -> Row:
    """Writes the files of one input; what events.json and index.html hold of it."""
    size = detector.frames_per_segment
    num_segments = features.features.shape[1]
    found = detector.score(features.features)
    events = detector.events(found, num_segments, features.num_frames, threshold)
    scores = detector.on_segments(found, num_segments)
    paths = outputs.output_paths(output, name)
    described = outputs.describe(detector, name, features, scores, events)
    highest = int(scores.scores.argmax())
    if features.video and not features.thumbnails:
        wanted = {highest, *(middle_segment(event, size) for event in described["events"])}
        pictures = read_thumbnails(features.video, wanted)
        features = dataclasses.replace(features, thumbnails=pictures)
    shown, video = features, features.video
    if video and not playable(video):
        video = paths["playable.mp4"]
        shown = transcode(features, video)
    write_text(paths["csv"], outputs.segment_table(features, scores, events, size))
    content = outputs.describe(detector, name, shown, scores, events)
    facts = outputs.run_facts(detector, threshold)
    write_page(paths["html"], content, facts, shown, scores, video, output / "index.html")
    if annotated and features.video:
        target = paths["annotated.mp4"]
        of_event = described["events"]
        annotate(features.video, features.fps, of_event, scores.scores, threshold.value, target)
    return Row(described, picture_of(features, highest))


def _summary(described: dict[str, Any], features: Features, annotated: bool) -> str:
    count = len(described["events"])
    kept = ", features kept from an earlier call" if features.kept else ""
    lines = [f"{one_line(described['name'])}: {count} event{'s' * (count != 1)}{kept}"]
    for event in described["events"]:
        times = f"{event['start_seconds']:8.2f} .. {event['end_seconds']:8.2f} s"
        lines.append(f"  {times}  {event['score']:.3f}  {event['category'] or 'anomaly'}")
    if note := rate_note(features):
        lines.append(f"  {note[0].lower()}{note[1:]}")
    lines += [f"  warning: {warning}" for warning in described["warnings"]]
    if annotated and not features.video:
        lines.append(f"  nothing to annotate: {features.without_video}")
    return "\n".join(lines)
