"""How many cameras of 25 frames per second a machine holds, and what limits it.

  python -m benchmarks.cameras --save
  python -m benchmarks.cameras --encoder=i3d --save
  python -m benchmarks.cameras --counts=4,8 --seconds=5   # a short form

First the processor's time of each part, for one segment of 16 frames: decoding and cutting with the
small picture, the encoder, the network of the detector that ships. From these follows how many
cameras two cores could hold if nothing else ran on them. Then cameras are really watched, as
`refinevad watch` does: named pipes, which other processes fill at 25 frames per second. A number of
cameras is held if of their frames at most 1 % are dropped and at most 1 % come too late to be
counted. The search begins below what was computed and ends at neighbours within a tenth. The
stand-in encoder is a random projection of mean colours: it shows what all but the encoder costs.
The last line is JSON.
"""

import contextlib
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from absl import flags

from benchmarks import records
from refinevad_jax.cameras.picture import THUMBNAIL_SIZE, shrunk
from refinevad_jax.cameras.sinks import Sinks
from refinevad_jax.cameras.watcher import Watcher
from refinevad_jax.detection.detector import SHIPPED, Detector
from refinevad_jax.encoders import i3d
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import read_segments
from refinevad_jax.encoders.video import Frame, Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.evaluation.causal import CausalScorer, push_together
from refinevad_jax.runtime import command_line

ENCODER = flags.DEFINE_enum("encoder", "stand_in", ["stand_in", "i3d"], "Encoder of segments.")
COUNTS = flags.DEFINE_list("counts", [], "Cameras to watch, in turn; if not given, a search.")
SECONDS = flags.DEFINE_float("seconds", 20.0, "How long each number of cameras is watched.", 1.0)
HEIGHT = flags.DEFINE_integer("height", 480, "Rows of the frames; columns are 4/3 of them.", 16)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Segments encoded at a time.", 1)
RATE, WIDTH, CORES = 25, 1024, 2
LONGEST_START_S = 40.0
MOST_TURNS = 6
SEGMENTS_PER_SECOND = RATE / FRAMES_PER_SEGMENT
# Fills a pipe with a transport stream again and again, in the time that it takes to be seen.
FEED = """
import itertools, sys, time
content, seconds = open(sys.argv[1], "rb").read(), float(sys.argv[2])
pieces = max(1, round(25 * seconds))
with open(sys.argv[3], "wb", buffering=0) as pipe:
    start = time.monotonic()
    for number in itertools.count():
        time.sleep(max(0.0, start + number / 25 - time.monotonic()))
        place = number % pieces
        pipe.write(content[len(content) * place // pieces : len(content) * (place + 1) // pieces])
"""


def stand_in() -> VisualEncoder:
    """Random projections of the mean colours of 4 x 4 blocks of every fourth frame."""
    weights = np.random.default_rng(0).normal(size=(48, WIDTH)).astype(np.float32)

    def encode(rows: np.ndarray) -> np.ndarray:
        blocks = rows[:, ::4, ::8, ::8].reshape(len(rows), 4, 4, 7, 4, 7, 3).mean(axis=(1, 3, 5))
        return (blocks.reshape(len(rows), -1) / 64 - 2).astype(np.float32) @ weights / 50

    return VisualEncoder(i3d.NAME, WIDTH, "", encode)


def write_clip(path: pathlib.Path) -> None:
    """Eight seconds of a picture with detail that moves, as a transport stream."""
    rng, height = np.random.default_rng(0), HEIGHT.value
    coarse = rng.integers(40, 216, (height // 8 + 1, height // 6 + 1, 3), np.uint8)
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, : height * 4 // 3]
    write_video(path, (np.roll(picture, 2 * i, axis=1) for i in range(8 * RATE)), fps=RATE)


def noted(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames; a small picture is made of the middle one of each segment, as a camera does."""
    for number, frame in enumerate(frames):
        if number % FRAMES_PER_SEGMENT == FRAMES_PER_SEGMENT // 2:
            shrunk(frame.pixels, THUMBNAIL_SIZE)
        yield frame


def costs(clip: pathlib.Path, detector: Detector, encoder: VisualEncoder) -> dict[str, float]:
    """Processor's seconds of one segment, by part."""
    segments: list[Any] = []

    def decode() -> None:
        with Video(clip, live=True) as video:
            segments.extend(read_segments(noted(video), 1))

    decode()
    segments.clear()
    reading = records.timed(decode)[1] / len(segments)
    size = BATCH_SIZE.value
    crops = [one.crops for one in segments[:size]]
    network = detector.causal()
    scorers = [CausalScorer(network) for _ in crops]
    features = list(encoder.encode_segments(crops, size))
    push_together(scorers, features)
    repeats = 5
    encoding = records.timed(
        lambda: [encoder.encode_segments(crops, size) for _ in range(repeats)]
    )[1]
    scoring = records.timed(lambda: [push_together(scorers, features) for _ in range(20)])[1]
    return {
        "reading": reading,
        "encoding": encoding / repeats / size,
        "scoring": scoring / 20 / size,
    }


@contextlib.contextmanager
def fed(clip: pathlib.Path, folder: pathlib.Path, count: int) -> Iterator[dict[str, str]]:
    """Named pipes that play the clip at its own speed, by the names of cameras."""
    sources, feeders = {}, []
    for number in range(count):
        pipe = folder / f"pipe{number}"
        os.mkfifo(pipe)
        sources[f"camera {number}"] = str(pipe)
        words = [sys.executable, "-c", FEED, str(clip), "8", str(pipe)]
        feeders.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))
    try:
        yield sources
    finally:
        for feeder in feeders:
            feeder.kill()
            feeder.wait()
        for source in sources.values():
            pathlib.Path(source).unlink()


def watched(
    clip: pathlib.Path, folder: pathlib.Path, detector: Detector, encoder: VisualEncoder, count: int
) -> dict[str, Any]:
    """What it takes to watch so many cameras: shares of frames dropped and of processors busy."""
    with fed(clip, folder, count) as sources:
        watcher = Watcher(
            sources,
            detector,
            encoder,
            Sinks(None, None, None),
            threshold=1.0,
            window=64,
            num_crops=1,
            batch_size=BATCH_SIZE.value,
            end_after=3.0,
        )
        cameras, given_up = watcher.cameras, time.monotonic() + LONGEST_START_S
        looks: list[
            np.ndarray
        ] = []  # clock, processor, frames, dropped; when all have come, and last

        def stopped() -> bool:
            if not looks and not all(camera.state == "live" for camera in cameras):
                return time.monotonic() > given_up
            counts = [(camera.num_frames, camera.num_dropped) for camera in cameras]
            now = time.monotonic(), time.process_time(), *np.sum(counts, axis=0)
            looks[1:] = [np.array(now)]
            return now[0] - looks[0][0] > SECONDS.value

        watcher.run(stopped)
    if not looks:
        print(f"{count} cameras: not all gave a picture in {LONGEST_START_S:g} s", flush=True)
        return {"cameras": count, "held": False}
    seconds, busy, frames, dropped = (looks[-1] - looks[0]).tolist()
    rate, share = frames / count / seconds, dropped / max(1, frames)
    row = {
        "cameras": count,
        "held": rate >= 0.99 * RATE and share <= 0.01,
        "frames_per_second_per_camera": round(rate, 1),
        "dropped_share": round(share, 4),
        "processor_s_per_camera_and_second": round(busy / count / seconds, 4),
    }
    print(row, flush=True)
    return row


def search(first: int, watch: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Watches more and more cameras, or fewer and fewer, until both sides are known."""
    rows: list[dict[str, Any]] = []
    count, held, too_many = first, 0, 0
    while len(rows) < MOST_TURNS and count:
        rows.append(watch(count))
        if rows[-1]["held"]:
            held = max(held, count)
        else:
            too_many = min(too_many or count, count)
        if held and too_many and too_many - held <= max(1, held // 10):
            break
        if held and too_many:
            count = (held + too_many) // 2
        else:
            count = count + max(1, count // 4) if held else count - max(1, count // 4)
    return rows


def main() -> None:
    """Measures and prints."""
    detector = Detector(SHIPPED, "best", allow_mismatch=True)
    encoder = stand_in() if ENCODER.value == "stand_in" else i3d.load_encoder()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        clip = folder / "clip.ts"
        write_clip(clip)
        parts = costs(clip, detector, encoder)
        holds = CORES / (SEGMENTS_PER_SECOND * sum(parts.values()))
        watch = functools.partial(watched, clip, folder, detector, encoder)
        counts = [int(count) for count in COUNTS.value]
        rows = [watch(count) for count in counts] or search(max(1, int(holds * 0.8)), watch)
    result: dict[str, Any] = {
        "encoder": ENCODER.value,
        "frames": f"{HEIGHT.value * 4 // 3} x {HEIGHT.value}, H.264, {RATE} per second",
        "batch_size": BATCH_SIZE.value,
        **{f"{part}_processor_ms_per_segment": round(1e3 * s, 2) for part, s in parts.items()},
        f"cameras_of_{CORES}_cores_by_processor_time": round(holds, 1),
        "limit": max(parts, key=parts.__getitem__),
        "held": max((row["cameras"] for row in rows if row["held"]), default=0),
        "seconds_each": SECONDS.value,
        "watched": rows,
    }
    records.finish(f"cameras_{ENCODER.value}", result)


if __name__ == "__main__":
    command_line.run(main)
