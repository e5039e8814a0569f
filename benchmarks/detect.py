"""What a user waits for: `refinevad detect` of short videos, from the command to its end.

  python -m benchmarks.detect
  python -m benchmarks.detect --videos=clips      # your own instead of made-up ones
  git worktree add ../before HEAD~1
  python -m benchmarks.detect --reference=../before      # both in turn, and their ratio

The detector that ships, with I3D, first with an empty folder of compiled programs and then with
what that left there. The made-up videos are moving noise, as many and as long as the short real
clips on which the command was made faster. "processor" is the time of all threads. With a
reference, the features of both are compared too. The last line is JSON.
"""

import pathlib
import tempfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks import records
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.runs.source_commit import source_commit
from refinevad_jax.runtime import command_line

VIDEOS = flags.DEFINE_string("videos", "", "Folder of videos; if not given, they are made up.")
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns; the median counts.", lower_bound=1)
REFERENCE = flags.DEFINE_string("reference", "", "A checkout of another version, timed in turn.")
ROOT = pathlib.Path(__file__).resolve().parents[1]
# Frames of the real clips.
LENGTHS = (60, 120, 120, 90, 271, 181, 30, 60, 60, 250, 120, 120, 53, 63, 60, 280, 300, 78, 85, 60)
LENGTHS += (379,)
SIZE = (240, 320)


def make_videos(folder: pathlib.Path) -> pathlib.Path:
    """Videos of moving noise, which are as hard to decode as footage."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    for number, length in enumerate(LENGTHS):
        scene = rng.integers(0, 256, (height // 8, (width + 256) // 8, 3), np.uint8)
        scene = scene.repeat(8, axis=0).repeat(8, axis=1)
        frames = (scene[:, i % 256 :][:, :width] for i in range(length))
        write_video(folder / f"{number:02d}.mp4", frames, fps=25)
    return folder


def features(output: pathlib.Path) -> np.ndarray:
    """Of all segments of all videos, one after the other: [T, D]."""
    return np.concatenate([np.load(path) for path in kept(output)])


def kept(output: pathlib.Path) -> list[pathlib.Path]:
    """The files of features that detection has left."""
    return sorted(output.glob("features/**/*.npy"))


def main() -> None:
    """Measures and prints."""
    checkouts = {"": ROOT}
    if REFERENCE.value:
        checkouts["reference_"] = pathlib.Path(REFERENCE.value).resolve()
    times: dict[str, list[tuple[float, float]]] = {}
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "videos").mkdir()
        videos = VIDEOS.value or make_videos(folder / "videos")
        for turn in range(REPEATS.value):
            for state in ("cold", "warm"):
                for kind, checkout in checkouts.items():
                    output = folder / f"{kind}{turn}{state}"
                    words = [f"--input={pathlib.Path(videos).resolve()}", f"--output={output}"]
                    words += [f"--compilation_cache={folder / f'cache-{kind}{turn}'}"]
                    spent = records.command(checkout, "-m", "refinevad_jax.detect", *words)
                    times.setdefault(f"{kind}{state}", []).append(spent)
                    found[kind] = features(output)
                    print(f"{kind}{state}: {spent[0]} s, {spent[1]} s of the processor", flush=True)
        num_videos = len(kept(output))
    result: dict[str, Any] = {"videos": num_videos, "segments": len(found[""])}
    result |= {"made_up": not VIDEOS.value, "turns": REPEATS.value}
    result |= records.in_turn(times)
    if REFERENCE.value:
        result["reference"] = source_commit(checkouts["reference_"])
        difference = np.abs(found["reference_"] - found[""]).max() / np.abs(found[""]).max()
        result["largest_difference_to_reference"] = float(f"{difference:.1e}")
    records.finish("detect", result)


if __name__ == "__main__":
    command_line.run(main)
