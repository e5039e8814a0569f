"""What workers make comes back through files; the pipeline itself is a stand-in."""

import pathlib
import sys
import types

import pytest

from data_prep.beam import RunnerError, make_file, map_to_files
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
    assert again.steps[0] == [("000000001", 6)]
    none_left = Pipeline()
    assert made(tmp_path, [5, 6], none_left) == [b"part 5", b"part 6"]
    assert none_left.steps == []


def test_a_runner_may_run_an_element_twice(tmp_path: pathlib.Path) -> None:
    for name in ("done", "errors"):
        (tmp_path / name).mkdir()
    for _ in range(2):
        make_file(("000000004", 4), make=make, folder=tmp_path, version=__version__)
    assert (tmp_path / "done" / "000000004").read_bytes() == b"part 4"


def test_a_worker_with_another_version_says_so(tmp_path: pathlib.Path) -> None:
    for name in ("done", "errors"):
        (tmp_path / name).mkdir()
    make_file(("000000004", 4), make=make, folder=tmp_path, version="99.0")
    said = (tmp_path / "errors" / "000000004").read_text()
    assert f"has {__version__}: every worker" in said and "needs refinevad_jax 99.0" in said
