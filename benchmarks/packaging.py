"""Times packaging feature files into a dataset folder against writing the same bytes plainly.

The input is of the size of UCF-Crime's training split with I3D features, one crop: 1,610 files of
200 x 1,024 float16, 660 MB of random numbers, made before the clock starts and read from the page
cache if the machine has room for it. Raw: the same bytes in one file, flushed to the disk.

    python -m benchmarks.packaging --scale=0.1
    python -m benchmarks.packaging --folder=/path/on/the/disk/in/question

Prints a table and, as the last line, the same numbers as JSON.
"""

import os
import pathlib
import tempfile
import time

import numpy as np
import tensorflow_datasets as tfds
from absl import flags

from benchmarks import records
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset.write import write_dataset
from data_prep.sources.package import Request, read_request
from refinevad_jax.data.bags import read_split
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import run

SCALE = flags.DEFINE_float("scale", 1.0, "share of the 1,610 videos", 0.001, 1.0)
FOLDER = flags.DEFINE_string("folder", tempfile.gettempdir(), "where files are made and removed")

NUM_VIDEOS, NUM_SEGMENTS, WIDTH = 1610, 200, 1024


def make_input(folder: pathlib.Path, num_videos: int) -> int:
    """Writes the feature files and their list; the number of feature bytes."""
    rng = np.random.default_rng(0)
    (folder / "features").mkdir()
    rows = ["path,label"]
    for i in range(num_videos):
        name = f"features/video{i:04d}.npy"
        values = rng.standard_normal((NUM_SEGMENTS, WIDTH), dtype=np.float32)
        np.save(folder / name, values.astype(np.float16))
        rows.append(f"{name},{'Abuse' if i % 2 else 'Normal'}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    return num_videos * NUM_SEGMENTS * WIDTH * 2


def write_raw(folder: pathlib.Path, num_videos: int) -> float:
    """Seconds to read the input and write its bytes into one file, on the disk at the end."""
    start = time.perf_counter()
    with (folder / "raw.bin").open("wb") as file:
        for i in range(num_videos):
            file.write(np.load(folder / "features" / f"video{i:04d}.npy").tobytes())
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - start


def package(folder: pathlib.Path) -> tuple[float, float]:
    """Seconds to read lists and headers, and to check and write the records, on the disk."""
    start = time.perf_counter()
    lists, features = {"train": folder / "train.csv"}, {"visual": folder / "features"}
    info, videos = read_request(Request(lists, features, "benchmark", UCF_CRIME))
    middle = time.perf_counter()
    written = write_dataset(str(folder / "data"), info, videos)
    for path in written.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return middle - start, time.perf_counter() - middle


def check(folder: pathlib.Path, num_videos: int) -> None:
    """What was packaged is what was made."""
    bags = read_split(str(folder / "data"), "benchmark", "train")
    expected = np.load(folder / "features" / "video0000.npy")
    if len(bags) != num_videos or not np.array_equal(bags[0].features[0], expected):
        raise UserError("the dataset folder does not hold the input; packaging has been changed")


def main() -> None:
    """Makes the input, times both, checks and prints."""
    num_videos = max(1, round(NUM_VIDEOS * SCALE.value))
    with tempfile.TemporaryDirectory(dir=FOLDER.value) as name:
        folder = pathlib.Path(name)
        num_bytes = make_input(folder, num_videos)
        raw = write_raw(folder, num_videos)
        (folder / "raw.bin").unlink()
        reading, writing = package(folder)
        check(folder, num_videos)
    total = reading + writing
    result = {
        "videos": num_videos,
        "bytes": num_bytes,
        "ratio_to_raw": round(total / raw, 2),
        "numpy": np.__version__,
        "tensorflow_datasets": tfds.__version__,
    }
    # Reading: lists, headers, hash; writing: the records.
    parts = {"raw": raw, "reading": reading, "writing": writing, "packaging": total}
    for name, seconds in parts.items():
        result |= {
            f"{name}_seconds": round(seconds, 3),
            f"{name}_mb_per_s": round(num_bytes / 1e6 / seconds),
        }
    records.finish("packaging", result)


if __name__ == "__main__":
    run(main)
