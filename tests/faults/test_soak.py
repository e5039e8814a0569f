"""Cameras watched for a while, with faults drawn at random: an hour in the long form."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from refinevad_jax.encoders.video_writer import write_video
from tests.conftest import LONG
from tests.faults.conftest import Record
from tests.faults.live_camera import FAULTS, LiveCamera
from tests.faults.moody_receiver import MoodyReceiver
from tests.faults.watch_process import WatchProcess

SECONDS = float(os.environ.get("REFINEVAD_SOAK_SECONDS", 3600 if LONG else 8))
NUM_CAMERAS = 8 if LONG else 3
KILLS = 5 if LONG else 1
OF_WATCHER = ("slow encoder", "slow disk", "clock of the computer")
PATIENCE = 120.0
THRESHOLD = 0.5


def wait_for(what: Callable[[], object], process: WatchProcess) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, process.where()
        time.sleep(0.05)


class Soak:
    """The cameras, the receiver and the process that watches."""

    def __init__(
        self, folder: pathlib.Path, workdir: pathlib.Path, cameras: list[LiveCamera], seed: int
    ) -> None:
        self.folder, self.cameras = folder, cameras
        self.random = random.Random(seed)
        self.faults = {"slow": 0.0, "disk": 0.0, "clock": 0.0}
        self.file = folder / "faults.json"
        self.injected = dict.fromkeys((*FAULTS, *OF_WATCHER), 0)
        self.write()
        self.words = [
            f"--workdir={workdir}",
            "--encoder=i3d",
            "--num_crops=1",
            "--allow_mismatch",
            "--rows",
            "--end_after=1",
            f"--output={folder / 'out'}",
            *(f"--input=cam{i}={camera.address}" for i, camera in enumerate(cameras)),
        ]

    def write(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.faults))
        new.replace(self.file)

    def start(self, webhook: str, threshold: float) -> WatchProcess:
        words = [*self.words, f"--webhook={webhook}", f"--threshold={threshold}"]
        return WatchProcess(self.file, words)

    def all_seen(self, process: WatchProcess, since: float) -> bool:
        return sum(at > since for at in process.rows.values()) == len(self.cameras)

    def strike(self) -> None:
        """One fault, of a camera or of the process."""
        fault = self.random.choice([*FAULTS, *OF_WATCHER])
        self.injected[fault] += 1
        if fault in FAULTS:
            self.random.choice(self.cameras).inject(fault)
        elif fault in ("slow encoder", "slow disk"):
            key, seconds = ("slow", 0.5) if fault == "slow encoder" else ("disk", 2.0)
            self.faults[key] = seconds
            self.write()
            time.sleep(3)
            self.faults[key] = 0.0
            self.write()
        else:
            self.faults["clock"] = self.random.choice([-7200.0, 0.0, 600.0])
            self.write()

    def all_played(self) -> bool:
        """Whether the cameras have played all faults that were drawn for them."""
        played = [sum(camera.injected.get(fault, 0) for camera in self.cameras) for fault in FAULTS]
        return played == [self.injected[fault] for fault in FAULTS]

    def run(self, process: WatchProcess, seconds: float) -> None:
        """Faults for so long; after each few, every camera has to be seen again."""
        until = time.monotonic() + seconds
        process.observe()
        while time.monotonic() < until:
            for _ in range(self.random.randint(1, 3)):
                self.strike()
            time.sleep(self.random.uniform(0.2, 2.0))
            played = time.monotonic() + 0.5
            wait_for(lambda since=played: self.all_seen(process, since), process)
            process.require_alive()


@pytest.fixture
def cameras(tmp_path: pathlib.Path) -> Iterator[list[LiveCamera]]:
    """Clips of two sizes, whose colour changes every second."""
    pytest.importorskip("av", reason="pip install av")
    clips = []
    for number, (height, width) in enumerate([(48, 64), (72, 96)]):
        clips.append(tmp_path / f"clip{number}.mp4")
        colours = np.random.default_rng(number).integers(0, 256, (8, 3))
        frames = [np.full((height, width, 3), colours[i // 25], np.uint8) for i in range(200)]
        write_video(clips[-1], frames, fps=25)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(LiveCamera(clips, seed)) for seed in range(NUM_CAMERAS)]


@pytest.mark.skipif(not pathlib.Path("/proc").is_dir(), reason="reads /proc")
def test_cameras_are_watched_through_faults(
    cameras: list[LiveCamera], trained: pathlib.Path, tmp_path: pathlib.Path, record: Record
) -> None:
    soak = Soak(tmp_path, trained, cameras, seed=0)
    messages: list[str] = []
    with MoodyReceiver(seed=0) as receiver, contextlib.ExitStack() as stack:
        for kill in range(KILLS + 1):
            process = soak.start(receiver.address, THRESHOLD)
            stack.callback(process.close)
            wait_for(lambda process=process: soak.all_seen(process, 0), process)
            is_last = kill == KILLS
            soak.run(process, SECONDS * (0.7 if is_last else 0.3 / KILLS))
            if not is_last:
                assert process.end(signal.SIGKILL) == -signal.SIGKILL
                messages += process.messages
        wait_for(soak.all_played, process)
        since = time.monotonic()
        wait_for(lambda: soak.all_seen(process, since), process)
        receiver.moody = False
        wait_for(lambda: waiting(tmp_path) == 0, process)
        assert process.end(signal.SIGTERM) == 128 + signal.SIGTERM, process.said[-20:]
    messages += process.messages
    assert messages and set(messages) <= set(receiver.taken)  # at least once
    begun = {name.removesuffix("-start") for name in receiver.taken if name.endswith("-start")}
    assert begun == set(receiver.ends)  # every event has come to its end
    assert waiting(tmp_path) == 0
    grown_mb = flat(process.memory, 40)
    flat(process.threads, 2)
    flat(process.files, NUM_CAMERAS)
    ways = list(receiver.ends.values())
    record.add(
        "Cameras",
        f"{NUM_CAMERAS} cameras, {SECONDS:g} s",
        **{key.replace(" ", "_"): value for key, value in soak.injected.items()},
        SIGKILL=KILLS,
        recovered=sum(soak.injected.values()),
        events=len(begun),
        ended_by_lost=ways.count("lost"),
        failed_calls=receiver.failed,
        undelivered=0,
        delivered_twice=sum(number > 1 for number in receiver.taken.values()),
        memory_grown_mb=round(grown_mb),
        most_threads=max(process.threads),
        most_open_files=max(process.files),
    )


def waiting(folder: pathlib.Path) -> int:
    """Messages that are still to be delivered."""
    with contextlib.closing(sqlite3.connect(folder / "out" / "queue.sqlite")) as base:
        return int(base.execute("SELECT COUNT(*) FROM messages").fetchone()[0])


def flat(looks: Sequence[float], most: float) -> float:
    """By how much the most of the last third is above that of the first; fails above `most`."""
    third = len(looks) // 3
    assert third, "looked at fewer than three times"
    grown = max(looks[-third:]) - max(looks[:third])
    assert grown <= most, looks
    return grown
