"""Beam on a real Dask cluster of several processes: the bytes of the plain path, whatever dies.

`make test-cluster` runs these tests in an environment that has Beam and Dask.
"""

import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.dask_cluster import Cluster, cluster
from data_prep.beam import RunnerError, make_pipeline, map_to_files
from data_prep.extraction.beam import extract_on_beam
from data_prep.extraction.jobs import plan_jobs, read_videos, run
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from tests.conftest import ROOT
from tests.data_prep.cluster_work import slowly, stand_in
from tests.data_prep.dataset.test_beam_packaging import files_below, made, package  # noqa: F401

pytest.importorskip("apache_beam", reason="pip install apache-beam[dask]")
distributed = pytest.importorskip("distributed", reason="pip install apache-beam[dask]")
# Of the libraries, in this process: sockets that a dead scheduler leaves, its own deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def dask(running: Cluster, timeout: int = 30) -> str:
    return f"--dask_client_address={running.address} --dask_connection_timeout={timeout}"


def files(
    running: Cluster, folder: pathlib.Path, elements: list[int], timeout: int = 30
) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    pipeline = make_pipeline("DaskRunner", options=dask(running, timeout))
    named = [(f"v{element}", element) for element in elements]
    found = map_to_files(
        pipeline, "DaskRunner", slowly, named, folder, what="records", flag="--data_dir"
    )
    return [path.read_bytes() for path in found]


def makers(folder: pathlib.Path) -> list[int]:
    """The process of each finished file."""
    return [int(path.read_bytes().split()[1]) for path in (folder / "done").glob("*")]


def once(condition: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Acts as soon as the condition holds."""

    def wait() -> None:
        while not condition():
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_packaging_gives_the_bytes_of_the_plain_path(
    two_workers: Cluster,
    made: pathlib.Path,  # noqa: F811
) -> None:
    plain = package(made, "plain")
    flags = ["--beam_runner=DaskRunner", f"--beam_options={dask(two_workers)}"]
    done = package(made, "dask", *flags)
    assert (plain.returncode, done.returncode) == (0, 0), done.stderr
    assert done.stderr == plain.stderr
    assert files_below(made / "plain") == files_below(made / "dask")


def test_extraction_gives_the_bytes_of_the_plain_path(
    two_workers: Cluster, tmp_path: pathlib.Path
) -> None:
    for name, count in (("a", 33), ("sub/b", 16), ("c", 48)):
        grey = [np.full((32, 48, 3), 5 * i, np.uint8) for i in range(count)]
        write_video(tmp_path / "videos" / f"{name}.mp4", grey, fps=25)
    (tmp_path / "videos" / "junk.mp4").write_text("no video")
    videos = read_videos(tmp_path / "videos")
    plain = run(plan_jobs(videos, tmp_path / "plain"), stand_in())
    jobs, output = plan_jobs(videos, tmp_path / "dask"), tmp_path / "dask"
    pipeline = make_pipeline("DaskRunner", options=dask(two_workers))
    assert extract_on_beam(jobs, stand_in, output, pipeline, "DaskRunner") == plain
    assert (plain.done, list(plain.failed)) == (3, ["junk"])
    assert files_below(tmp_path / "plain") == files_below(output)


@pytest.mark.parametrize(
    ("runner", "options"),
    re.findall(
        r'--beam_runner=(\w+) --beam_options="([^"]*)"',
        (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"),
    ),
)
def test_runners_in_the_documents_are_known_by_name_with_their_options(
    runner: str, options: str
) -> None:
    options = options.replace("BUCKET", "bucket").replace("PROJECT", "my-project")
    assert type(make_pipeline(runner, options=options).runner).__name__ == runner


def test_what_cannot_work_is_one_line(two_workers: Cluster, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"^no -7$"):
        files(two_workers, tmp_path / "bad", [3, -7, 5])
    with pytest.raises(UserError, match="--beam_workers has no effect"):
        make_pipeline("DaskRunner", workers=2)
    with pytest.raises(UserError, match="no option dask_speed"):
        make_pipeline("DaskRunner", options="--dask_speed=9")
    with cluster(tmp_path, 1, installed=False) as bare:
        with pytest.raises(RunnerError, match=r"No module named .*; every worker.* 0 of 2 records"):
            files(bare, tmp_path / "made", [1, 2])
        bare.kill()
        with pytest.raises(RunnerError, match="Timed out trying to connect"):
            files(bare, tmp_path / "made", [1, 2], timeout=1)


def test_a_worker_that_is_killed_costs_what_it_had_not_done(
    two_workers: Cluster, tmp_path: pathlib.Path
) -> None:
    third = two_workers.add_worker()
    two_workers.workers.append(third)
    with distributed.Client(two_workers.address) as client:
        client.wait_for_workers(3)
    killer = once(lambda: makers(tmp_path / "made").count(third.pid) > 3, third.kill)
    found = files(two_workers, tmp_path / "made", list(range(60)))
    killer.join(timeout=60)
    assert [int(content.split()[0]) for content in found] == list(range(60))
    # Dask runs all tasks of the dead worker again, those that it had finished too.
    pids = [int(content.split()[1]) for content in found]
    assert pids.count(third.pid) > 3
    assert {worker.pid for worker in two_workers.workers} == set(pids)


def test_a_scheduler_that_is_killed_is_one_line_and_the_call_goes_on(
    tmp_path: pathlib.Path,
) -> None:
    elements = list(range(40))
    with cluster(tmp_path) as first:
        killed: list[float] = []

        def kill() -> None:
            killed.append(time.monotonic())
            first.kill()

        killer = once(lambda: len(makers(tmp_path / "made")) >= 8, kill)
        with pytest.raises(RunnerError, match=r"of 40 records are made, the same command") as told:
            files(first, tmp_path / "made", elements)
        assert time.monotonic() - killed[0] < 60
        killer.join()
    assert str(told.value).startswith("--beam_runner=DaskRunner: ")
    kept = len(list((tmp_path / "made" / "done").iterdir()))
    assert kept >= 8
    with cluster(tmp_path) as second:
        found = files(second, tmp_path / "made", elements)
        pids = [worker.pid for worker in second.workers]
    assert [int(content.split()[0]) for content in found] == elements
    assert sum(int(content.split()[1]) in pids for content in found) == 40 - kept
