r"""Watches several live cameras and tells of events as they begin and end.

  python -m refinevad_jax.watch --input=gate=rtsp://10.0.0.7/live --input=yard=rtsp://10.0.0.8/live
  python -m refinevad_jax.watch --workdir=runs/own --input=0 --output=watch \
      --webhook=https://example.com/events
  python -m refinevad_jax.watch --input=clip.mp4 --rows

Without --workdir it uses the detector that ships, which knows fights and nothing else. It prints
one JSON line when an event begins and one when it has ended, with the camera, the times, the
category and the highest score; with --rows one per segment of 16 frames, too. --output is a folder
for events.jsonl, which rotates and has pictures, and for the queue of what --webhook and --mqtt
still have to be told. A source that breaks off is opened again until the command is stopped; a file
is played at its own speed, and ends. docs/cameras.md says more.

Secrets come from the environment: REFINEVAD_WEBHOOK_TOKEN (sent as Bearer),
REFINEVAD_WEBHOOK_KEY (signs every message), REFINEVAD_MQTT_USER and REFINEVAD_MQTT_PASSWORD.

Exit codes: 0 all inputs were files and have ended, or the program that reads standard output has
ended; 2 misuse or bad data; 130 (Ctrl-C) and 143 (SIGTERM) stopped, after open events were ended
and sinks were flushed.
"""

import contextlib
import os
import pathlib
import signal
import sys
from typing import TYPE_CHECKING

from absl import flags

from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line
from refinevad_jax.runtime.detector_flags import detector_flags
from refinevad_jax.runtime.stopping import StopRequest

if TYPE_CHECKING:
    from refinevad_jax.cameras.board import Board
    from refinevad_jax.cameras.sinks import Sinks
    from refinevad_jax.cameras.watcher import Watcher

INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "A camera: SOURCE or NAME=SOURCE, where SOURCE is an address, the number of a camera, a named "
    "pipe, - for standard input, or a file.",
    required=True,
)
OUTPUT = flags.DEFINE_string(
    "output", "", "Folder for events.jsonl and the queue; if not given, nothing is written there."
)
DETECTOR = detector_flags(VISUAL)
SETTINGS_FILE = flags.DEFINE_string(
    "settings_file",
    "",
    'JSON file, read again when it changes: {"threshold": 0.5} comes before the flags.',
)
END_AFTER = flags.DEFINE_float(
    "end_after", 3.0, "Seconds below the threshold after which an event has ended.", 0.0, 3600.0
)
ROWS = flags.DEFINE_bool("rows", False, "Print the score of every segment, too.")
WEBHOOK = flags.DEFINE_string("webhook", "", "Address that every message is POSTed to, https.")
MQTT = flags.DEFINE_string(
    "mqtt", "", "mqtts://HOST/TOPIC that every message is published to; needs paho-mqtt."
)
ALLOW_PLAIN = flags.DEFINE_bool(
    "allow_plain", False, "Accept http:// and mqtt:// to other computers, which all can read."
)
QUEUE_SIZE = flags.DEFINE_integer(
    "queue_size",
    1000,
    "Messages that may wait for a webhook or broker; the oldest are dropped.",
    1,
    1_000_000,
)
FILE_MB = flags.DEFINE_float("file_mb", 10.0, "Size at which events.jsonl is rotated.", 0.01, 1e5)
FILE_COUNT = flags.DEFINE_integer(
    "file_count", 5, "Files that are kept, events.jsonl included.", 2, 1000
)
SERVE = flags.DEFINE_string(
    "serve", "", "HOST:PORT of a page that shows the cameras, as 127.0.0.1:8080."
)
TOKEN_FILE = flags.DEFINE_string(
    "token_file", "", "File of the token that lets somebody see the page of --serve."
)
CACHE = command_line.cache_flag()


def main() -> None:
    """Restores the run and watches."""
    DETECTOR.chosen_threshold()  # what is wrong with it is said first
    if TOKEN_FILE.value and not SERVE.value:
        raise UserError("--token_file has no effect without --serve; leave it out")
    from refinevad_jax.cameras.names import read_inputs
    from refinevad_jax.cameras.settings_file import SettingsFile
    from refinevad_jax.cameras.sinks import SinkSettings, opened
    from refinevad_jax.runtime.compiler import enable_cache

    sources = read_inputs(INPUT.value)
    to = SinkSettings(
        pathlib.Path(OUTPUT.value) if OUTPUT.value else None,
        round(1e6 * FILE_MB.value),
        FILE_COUNT.value,
        WEBHOOK.value,
        MQTT.value,
        ALLOW_PLAIN.value,
        QUEUE_SIZE.value,
    )
    if SETTINGS_FILE.value:  # what is wrong with it is said before anything is written
        SettingsFile(pathlib.Path(SETTINGS_FILE.value), 1.0)
    enable_cache(CACHE.value)
    request = StopRequest("ending open events", "ended without ending open events")
    with contextlib.ExitStack() as stack:
        board = _served(sources, stack)
        sinks = stack.enter_context(opened(to, sys.stdout, os.environ))
        watcher = _load(sources, sinks, board)
        stack.enter_context(request.listening())
        print(f"watching: {', '.join(sources)}", file=sys.stderr, flush=True)
        watcher.run(lambda: request.signal)
    if request.signal or sinks.stuck:  # a camera, disk or reader may keep its thread waiting
        os._exit(128 + signal.Signals[request.signal] if request.signal else 0)


def _served(sources: dict[str, str], stack: contextlib.ExitStack) -> "Board | None":
    """What the page of --serve shows, None without; the stack closes the page."""
    if not SERVE.value:
        return None
    from refinevad_jax.cameras.board import Board
    from refinevad_jax.cameras.server import serve

    board = Board(list(sources), 1.0)  # the threshold is known once the run has been read
    token = pathlib.Path(TOKEN_FILE.value) if TOKEN_FILE.value else None
    page = serve(board, SERVE.value, token)
    stack.callback(page.close)
    print(f"open in a browser: {page.url}", file=sys.stderr, flush=True)
    return board


def _load(sources: dict[str, str], sinks: "Sinks", board: "Board | None") -> "Watcher":
    """The watcher that the flags ask for."""
    from refinevad_jax.cameras.settings_file import SettingsFile
    from refinevad_jax.cameras.watcher import Watcher
    from refinevad_jax.detection import run_detection
    from refinevad_jax.detection.detector import SHIPPED, Detector

    detector = Detector(
        DETECTOR.workdir or SHIPPED,
        DETECTOR.step.value,
        allow_mismatch=DETECTOR.allow_mismatch.value,
    )
    notes = detector.notes(stream=True)
    if not DETECTOR.workdir:
        notes.insert(0, "no --workdir: using the detector that ships; it knows fights alone")
    threshold = detector.stream_threshold(*DETECTOR.chosen_threshold(), DETECTOR.window.value)
    settings = None
    if SETTINGS_FILE.value:
        settings = SettingsFile(pathlib.Path(SETTINGS_FILE.value), threshold.value)
    if settings and settings.threshold != threshold.value:
        notes.append(f"threshold {settings.threshold:.4g}: --settings_file={SETTINGS_FILE.value}")
    else:
        notes.append(f"threshold {threshold.value:.4g}: {threshold.words}")
    for note in notes:
        print(note, file=sys.stderr, flush=True)
    how = run_detection.DetectionSettings(
        DETECTOR.encoder.value, DETECTOR.weights.value, int(DETECTOR.num_crops.value)
    )
    crops = run_detection.choose_crops(detector, how)
    encoder = run_detection.load_encoder(detector, how, crops)
    if board:
        board.set_threshold(settings.threshold if settings else threshold.value)
    return Watcher(
        sources,
        detector,
        encoder,
        sinks,
        threshold=threshold.value,
        window=DETECTOR.window.value,
        num_crops=crops,
        batch_size=DETECTOR.batch_size.value,
        end_after=END_AFTER.value,
        rows=ROWS.value,
        settings=settings,
        board=board,
    )


if __name__ == "__main__":
    command_line.run(main)
