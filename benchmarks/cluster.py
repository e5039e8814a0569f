"""How packaging on a Dask cluster grows with the number of videos: scheduler, workers, joining.

  python -m benchmarks.cluster --videos=1000,10000        # pip install apache-beam[dask]
  python -m benchmarks.cluster --videos=100000 --workers=0
  python -m benchmarks.cluster --videos=100000 --submit
  python -m benchmarks.cluster --videos=100000 --workers=1000 --wait=1

Made-up videos of one segment and four channels are packaged on a scheduler and workers of this
machine, so that next to nothing but the cost of a video's way through the cluster is left. With
--workers=0 no cluster takes part: the files of the workers are made beforehand, and joining them is
measured alone. With --submit the scheduler has no worker, and the measurement ends when it knows
all tasks. With --wait a video is a wait of some seconds, so that a hundred workers fit in a process
and hundreds on a machine. Times are of the processor, because the processes share the machine. The
last line is JSON.
"""

import functools
import multiprocessing
import pathlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from benchmarks import records
from benchmarks.dask_cluster import Cluster, cluster, wait
from data_prep.beam import make_pipeline, map_to_files
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset import beam_packaging
from data_prep.dataset.records import Record
from data_prep.dataset.videos import Video
from data_prep.dataset.write import Place, parts_folder, write_dataset
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.runtime import command_line

VIDEOS = flags.DEFINE_list("videos", ["1000", "10000"], "Numbers of videos, one run for each.")
WORKERS = flags.DEFINE_integer("workers", 2, "Processes of the cluster; 0: joining alone.", 0)
SUBMIT = flags.DEFINE_bool("submit", False, "Only hand the tasks to a scheduler without workers.")
WAIT = flags.DEFINE_float("wait", 0, "Seconds that a video takes, instead of packaging.", 0)
FOLDER = flags.DEFINE_string("folder", tempfile.gettempdir(), "Where files are made and removed.")
INFO = BagsInfo(name="made", taxonomy=UCF_CRIME, modalities=(Modality("visual", 4),))


def made_up(count: int) -> list[Video]:
    """Videos of one segment."""
    return [
        Video(
            f"video{number:07d}",
            "train",
            "Arson" if number % 2 else "Normal",
            functools.partial(np.full, (1, 1, 4), number % 100 / 100),
            f"video{number:07d}.npy",
        )
        for number in range(count)
    ]


def package(count: int, folder: str, address: str) -> dict[str, float]:
    """Packages this number of videos, in its own process.

    address: of the scheduler; if it is empty, the files are made before the clock starts. Processor
    seconds and peak memory of this process, until the cluster is done and for joining.
    """
    marks: list[tuple[float, float, float]] = []

    def mark() -> None:
        marks.append((time.process_time(), records.peak_memory_gb(), time.perf_counter()))

    def make(info: BagsInfo, places: Sequence[Place], staging: pathlib.Path) -> Iterator[Record]:
        pipeline = None
        if address:
            options = f"--dask_client_address={address}"
            pipeline = make_pipeline("DaskRunner", options=options)
        else:
            _as_workers_would(info, places, parts_folder(staging))
        mark()
        found = beam_packaging.make_on_beam(
            info, places, staging, pipeline=pipeline, runner="DaskRunner"
        )
        first = next(found)
        mark()
        yield first
        yield from found
        mark()

    write_dataset(folder, INFO, made_up(count), make_records=make)
    (start, memory, clock), (middle, middle_memory, middle_clock), (end, end_memory, _) = marks
    return {
        "videos": count,
        "submit_processor_s": round(middle - start, 2),
        "cluster_clock_s": round(middle_clock - clock, 1),
        "join_processor_s": round(end - middle, 2),
        "memory_of_list_gb": memory,
        "memory_submitted_gb": middle_memory,
        "memory_joined_gb": end_memory,
    }


def _as_workers_would(info: BagsInfo, places: Sequence[Place], parts: pathlib.Path) -> None:
    """The files, each with the record of the first video: who joins them does not look inside."""
    beam_packaging.take_over(parts, info, places)
    (parts / "done").mkdir()
    content = b"".join(beam_packaging.record_parts(places[0], info))
    for number in range(len(places)):
        with open(f"{parts}/done/{number:09d}", "wb") as file:  # noqa: PTH123 (Path takes longer)
            file.write(content)


def submit(count: int, folder: str, address: str) -> dict[str, float]:
    """Hands the tasks of this number of videos to a scheduler, in its own process."""
    from distributed import Client

    pipeline = make_pipeline("DaskRunner", options=f"--dask_client_address={address}")
    named = [(video.video_id, (video, number)) for number, video in enumerate(made_up(count))]
    start, memory = time.process_time(), records.peak_memory_gb()
    make = functools.partial(beam_packaging.record_parts, info=INFO)
    files = map_to_files(
        pipeline, "DaskRunner", make, named, pathlib.Path(folder), what="", flag=""
    )
    # It waits for a worker then; the process ends with the clock.
    threading.Thread(target=next, args=(files,), daemon=True).start()
    known = 0
    with Client(address) as client:
        while not known:
            time.sleep(2)
            known = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        return {
            "videos": count,
            "submit_processor_s": round(time.process_time() - start, 1),
            "memory_of_list_gb": memory,
            "memory_submitted_gb": records.peak_memory_gb(),
        }


def wait_for_all(count: int, folder: str, address: str, seconds: float) -> dict[str, float]:
    """Lets the workers wait this number of times, in its own process."""
    pipeline = make_pipeline("DaskRunner", options=f"--dask_client_address={address}")
    numbers = [(str(number), number) for number in range(count)]
    make = functools.partial(wait, seconds=seconds)
    start, clock = time.process_time(), time.perf_counter()
    files = map_to_files(
        pipeline, "DaskRunner", make, numbers, pathlib.Path(folder), what="", flag=""
    )
    assert [int(path.read_bytes()) for path in files] == list(range(count))
    return {
        "videos": count,
        "wait_s": seconds,
        "cluster_clock_s": round(time.perf_counter() - clock, 1),
        "command_processor_s": round(time.process_time() - start, 1),
        "memory_joined_gb": records.peak_memory_gb(),
    }


def measure(count: int, folder: pathlib.Path) -> dict[str, Any]:
    """One run of `package`, `submit` or `wait_for_all`, with what the cluster used."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        if not WORKERS.value and not SUBMIT.value:
            return pool.apply(package, (count, str(folder), ""))
        with cluster(folder, 0 if SUBMIT.value or WAIT.value else WORKERS.value) as running:
            given = (count, str(folder), running.address)
            if WAIT.value:
                _start_many(running)
                before = sum(map(_processor_s, running.workers))
                row = pool.apply(wait_for_all, (*given, WAIT.value))
                after = sum(map(_processor_s, running.workers))
                row["workers_processor_s"] = round(after - before, 1)
            else:
                row = pool.apply(submit if SUBMIT.value else package, given)
            return row | {
                "scheduler_processor_s": round(_processor_s(running.scheduler), 1),
                "scheduler_memory_gb": round(_peak_gb(running.scheduler.pid), 2),
            }


def _start_many(running: Cluster) -> None:
    """Starts the workers, a hundred per process, and returns once the scheduler has all."""
    from distributed import Client

    for first in range(0, WORKERS.value, 100):
        running.add_workers(min(100, WORKERS.value - first))
    with Client(running.address) as client:
        client.wait_for_workers(WORKERS.value)


def _processor_s(process: subprocess.Popen) -> float:
    """What a process has used so far."""
    import psutil

    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def _peak_gb(pid: int) -> float:
    """The most memory that a process has held, on Linux."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1e6


def main() -> None:
    """Measures and prints."""
    rows = []
    for count in map(int, VIDEOS.value):
        with tempfile.TemporaryDirectory(dir=FOLDER.value) as name:
            rows.append(measure(count, pathlib.Path(name)))
        print(rows[-1], flush=True)
    name = "cluster" if WORKERS.value else "cluster_join"
    name = "cluster_submit" if SUBMIT.value else "cluster_wait" if WAIT.value else name
    records.finish(name, {"workers": WORKERS.value, "runs": rows})


if __name__ == "__main__":
    command_line.run(main)
