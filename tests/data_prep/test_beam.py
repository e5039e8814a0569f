"""What workers make comes back through files; the pipeline itself is a stand-in."""

import pathlib
import pickle
import sys
import types
import zlib

import pytest

import data_prep.beam
from data_prep.beam import RunnerError, make_files, map_to_files
from refinevad_jax import __version__
from refinevad_jax.errors import UserError


class Pipeline:
    """Does what is piped into it with each element, here."""

    runner = None

    def __init__(self, result: str = "DONE", lost: int = -1) -> None:
        self.result, self.lost = result, lost
        self.steps: list = []

    def __or__(self, step):
        self.steps.append(step)
        return self

    def run(self):
        elements, _, (function, more) = self.steps
        for i, element in enumerate(elements):
            if i != self.lost:
                function(element, **more)
        return self

    def wait_until_finish(self) -> str:
        return self.result


class Coder:
    """Beam's PickleCoder."""

    encode = staticmethod(pickle.dumps)
    decode = staticmethod(pickle.loads)


class Step:
    def __init__(self, content) -> None:
        self.content = content

    def __rrshift__(self, name: str):
        return self.content


@pytest.fixture(autouse=True)
def beam(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("apache_beam")
    module.Create = Step
    module.Reshuffle = lambda: Step(None)
    module.coders = types.SimpleNamespace(PickleCoder=Coder)
    module.Map = lambda function, **more: Step((function, more))
    monkeypatch.setitem(sys.modules, "apache_beam", module)


def make(element: int) -> list[bytes]:
    if element < 0:
        raise UserError(f"no {element}")
    if element == 99:
        raise OSError(28, "No space left on device", "disk")
    return [b"part ", str(element).encode()]


def made(folder: pathlib.Path, elements: list[int], pipeline: Pipeline) -> list[bytes]:
    named = [(f"v{element}", element) for element in elements]
    found = map_to_files(pipeline, "R", make, named, folder, what="files", flag="--output")
    return [path.read_bytes() for path in found]


def task(*elements: tuple[str, int]) -> bytes:
    return zlib.compress(Coder.encode(elements))


def inside(pipeline: Pipeline) -> list[list[tuple[str, int]]]:
    """The elements of each task."""
    return [list(Coder.decode(zlib.decompress(one))) for one in pipeline.steps[0]]


def test_files_come_in_the_order_of_the_elements(tmp_path: pathlib.Path) -> None:
    assert made(tmp_path, [3, 1, 2], Pipeline()) == [b"part 3", b"part 1", b"part 2"]


def test_a_first_error_ends_the_others(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"^no -1$"):
        made(tmp_path, [3, -1, -2, 4], Pipeline())
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["000000000"]
    assert [path.name for path in (tmp_path / "errors").iterdir()] == ["000000001"]


def test_a_full_disk_in_a_worker_is_one_line(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="No space left"):
        made(tmp_path, [99], Pipeline())


def test_folders_that_workers_do_not_share(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"nothing of v7 .*--output must be on a file system that"):
        made(tmp_path, [5, 7], Pipeline(lost=1))


def test_a_pipeline_that_fails_goes_on_from_what_is_made(tmp_path: pathlib.Path) -> None:
    words = "--beam_runner=R: the pipeline ended as FAILED; see its logs; 1 of 2 files are made"
    with pytest.raises(RunnerError, match=words):
        made(tmp_path, [5, 6], Pipeline("FAILED", lost=1))
    again = Pipeline()
    assert made(tmp_path, [5, 6], again) == [b"part 5", b"part 6"]
    assert inside(again) == [[("000000001", 6)]]
    none_left = Pipeline()
    assert made(tmp_path, [5, 6], none_left) == [b"part 5", b"part 6"]
    assert none_left.steps == []


def test_tasks_are_bounded_in_number_and_small(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_prep.beam, "_TASKS", 3)
    pipeline = Pipeline()
    assert len(made(tmp_path, list(range(8)), pipeline)) == 8
    assert [len(one) for one in inside(pipeline)] == [3, 3, 2]
    monkeypatch.setattr(data_prep.beam, "_TASKS", 10)
    names = [(f"{i:09d}", f"/shared/videos/camera{i:05d}.mp4") for i in range(1000)]
    assert sum(map(len, data_prep.beam._tasks(names))) < 20 * 1000


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("done", "errors"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_task_of_a_worker_that_died_costs_what_it_had_not_done(folder: pathlib.Path) -> None:
    (folder / "done" / "000000004").write_bytes(b"of the one that died")
    elements, made = task(("000000004", 4), ("000000005", 5)), []
    for _ in range(2):
        make_files(
            elements,
            make=lambda element: made.append(element) or [b"new"],
            folder=folder,
            version=__version__,
        )
    assert made == [5]
    assert (folder / "done" / "000000004").read_bytes() == b"of the one that died"
    assert (folder / "done" / "000000005").read_bytes() == b"new"


def test_a_worker_with_another_version_says_so(folder: pathlib.Path) -> None:
    make_files(b"not even read", make=make, folder=folder, version="99.0")
    (path,) = (folder / "errors").iterdir()
    said = path.read_text()
    assert f"has {__version__}: every worker" in said and "needs refinevad_jax 99.0" in said
