r"""Finds anomalous events in videos.

  python -m refinevad_jax.detect --input=clip.mp4
  python -m refinevad_jax.detect --workdir=runs/ucf --input=clip.mp4 --output=found
  python -m refinevad_jax.detect --workdir=runs/ucf --input=folder/ --input=b.npy --output=found \
      --false_alarm_rate=0.01
  python -m refinevad_jax.detect --workdir=runs/ucf --input=rtsp://camera/1 --stream

Without --workdir it uses the detector that ships. That one was trained on surveillance fights and
knows nothing else. Writes found/events.json and found/index.html, which lists the inputs, and for
every input found/<name>.csv with the scores of its segments and found/<name>.html, a page on which
it plays. The features of videos are kept in found/features: with the same --output, another
threshold or checkpoint encodes nothing again. With --annotate it also writes
found/<name>.annotated.mp4, the video with scores and events drawn in. With --events it also writes
the events in formats of other programs (docs/export.md). With --stream it prints one
JSON line per segment of 16 frames of a live source and writes nothing. The source is a file, an
address, the number of a camera, a named pipe, or - for standard input.

Exit codes: 0 done, or a file or recording has come to its end; 2 misuse or bad data; 3 a live
source broke off and did not come back (--reconnect).
"""

import pathlib
import sys

from absl import flags

from refinevad_jax.detection.event_files import FORMATS
from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable
from refinevad_jax.runtime import command_line
from refinevad_jax.runtime.detector_flags import detector_flags

INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "Video, file of features, or folder of them.",
    required=True,
)
OUTPUT = flags.DEFINE_string(
    "output", "", "Folder for events, scores and pages; if not given, found. Not for --stream."
)
DETECTOR = detector_flags(VISUAL)
ANNOTATE = flags.DEFINE_bool("annotate", False, "Write each video with scores and events drawn in.")
EVENTS = flags.DEFINE_multi_enum(
    "events",
    [],
    FORMATS,
    "Also write the events as activitynet, fiftyone, webvtt or srt; may be given several times.",
)
STREAM = flags.DEFINE_bool("stream", False, "Causal scores of a live source, as JSON lines.")
RECONNECT = flags.DEFINE_float(
    "reconnect",
    0.0,
    "With --stream: open a source that broke off again, until so many seconds have passed without "
    "a frame; 0: do not.",
    0.0,
    1e9,
)
NUM_SEGMENTS = flags.DEFINE_integer(
    "num_segments",
    None,
    "Bins each video is scored in, 0 for full length; as the run says if not given.",
    0,
    100_000,
)
FPS = flags.DEFINE_float(
    "fps",
    None,
    "Frames per second of feature files, if no record beside them states it; if not given, that of "
    "the data set that the run was trained on, or 25 if it has none.",
    1e-3,
)
flags.register_validator("fps", lambda fps: fps is None or fps <= 1e5, "give a number up to 1e5")
CATEGORIES = flags.DEFINE_list(
    "categories",
    [],
    "Names of anomalies to tell apart instead of the trained ones, as fight,fall,fire, for a run "
    "with config.model.category_names=sentences. They change no score.",
)
RECORDING = flags.DEFINE_multi_string(
    "recording",
    [],
    "File of features, or folder of them, of the camera that the inputs are of, for a run with "
    "config.data.normalization=recording: what the camera usually shows. If not given, each input "
    "is compared with itself.",
)
CACHE = command_line.cache_flag()


def main() -> None:
    """Restores the run and detects."""
    chosen = DETECTOR.chosen_threshold()
    if STREAM.value and (len(INPUT.value) > 1 or OUTPUT.value):
        raise UserError("--stream takes one --input and writes to the screen, not to --output")
    if STREAM.value and ANNOTATE.value:
        raise UserError("--annotate has no effect with --stream, which writes no video")
    if STREAM.value and EVENTS.value:
        raise UserError("--events has no effect with --stream, which prints its own lines")
    if STREAM.value and FPS.value:
        raise UserError("--fps has no effect with --stream, which takes the times of the source")
    if STREAM.value and RECORDING.value:
        raise UserError("--recording has no effect with --stream, which compares with its own past")
    if CATEGORIES.present and not CATEGORIES.value:
        raise UserError("--categories= names nothing; give names, as fight,fall,fire")
    if STREAM.value and CATEGORIES.value:
        raise UserError("--categories has no effect with --stream, which names the trained ones")
    if RECONNECT.value and not STREAM.value:
        raise UserError("--reconnect has no effect without --stream; leave it out")
    output = pathlib.Path(OUTPUT.value or "found")
    if not STREAM.value:
        require_writable("output", output)
    from refinevad_jax.detection import run_detection, stream
    from refinevad_jax.detection.detector import SHIPPED, Detector
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(CACHE.value)
    workdir = DETECTOR.workdir or SHIPPED
    notes = sys.stderr if STREAM.value else sys.stdout  # a stream's output is JSON alone
    if not DETECTOR.workdir:
        print(
            "no --workdir: using the detector that ships, trained on surveillance fights; it knows "
            f"fights and nothing else; model card: {workdir / 'README.md'}",
            file=notes,
        )
    detector = Detector(
        workdir,
        DETECTOR.step.value,
        num_segments=NUM_SEGMENTS.value,
        allow_mismatch=DETECTOR.allow_mismatch.value,
        categories=CATEGORIES.value,
    )
    for note in detector.notes(stream=STREAM.value):
        print(note, file=notes)
    if STREAM.value:
        threshold = detector.stream_threshold(*chosen, DETECTOR.window.value)
    else:
        threshold = detector.threshold(*chosen)
    print(f"threshold {threshold.value:.4g}: {threshold.words}", file=notes, flush=True)
    settings = run_detection.DetectionSettings(
        DETECTOR.encoder.value,
        DETECTOR.weights.value,
        int(DETECTOR.num_crops.value),
        DETECTOR.batch_size.value,
        ANNOTATE.value,
        FPS.value,
        tuple(dict.fromkeys(EVENTS.value)),
        tuple(RECORDING.value),
    )
    if not STREAM.value:
        if not OUTPUT.value:
            print("no --output: writing to the folder found", flush=True)
        run_detection.detect(detector, threshold, INPUT.value, output, settings)
        return
    crops = run_detection.choose_crops(detector, settings)
    encoder = run_detection.load_encoder(detector, settings, crops)
    for line in stream.watch(
        INPUT.value[0],
        detector,
        encoder,
        threshold,
        window=DETECTOR.window.value,
        num_crops=crops,
        reconnect=RECONNECT.value,
    ):
        print(line, flush=True)


if __name__ == "__main__":
    command_line.run(main)
