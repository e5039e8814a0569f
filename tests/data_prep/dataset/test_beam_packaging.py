import dataclasses
import functools
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from data_prep.beam import RunnerError, make_pipeline
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset import beam_packaging
from data_prep.dataset.beam_packaging import make_on_beam, record_parts
from data_prep.dataset.records import make_record
from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import parts_folder, write_dataset
from refinevad_jax.data.bags import BagsInfo, Modality, read_info
from refinevad_jax.errors import UserError
from tests.conftest import call

INFO = BagsInfo(name="tiny", taxonomy=UCF_CRIME, modalities=(Modality("visual", 4),))
needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="Apache Beam is not installed: pip install apache-beam",
)


def package(folder: pathlib.Path, name: str, *flags: str) -> subprocess.CompletedProcess:
    own = [
        *("--source=release", "--name=made", "--unit=frames"),
        *("--taxonomy=ucf_crime", f"--features={folder / 'features'}", "--fps=30"),
        *(f"--list={split}={folder / split}.csv" for split in ("train", "test")),
        *(f"--annotations={folder / 'truth.txt'}", f"--data_dir={folder / name}"),
    ]
    return call("data_prep.package", *own, *flags)


@pytest.fixture
def made(tmp_path) -> pathlib.Path:
    """Lists of 14 + 6 videos, and their truth."""
    rng = np.random.default_rng(0)
    (tmp_path / "features").mkdir()
    for split, count in (("train", 14), ("test", 6)):
        rows = ["path,label"]
        for i in range(count):
            name = f"{split}{i:02d}_x264"
            values = rng.standard_normal((3 + i, 4)).astype(np.float32)
            np.save(tmp_path / "features" / f"{name}.npy", values)
            rows.append(f"{name}.npy,{'Arson' if i % 2 else 'Normal'}")
        (tmp_path / f"{split}.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "truth.txt").write_text("test01_x264.mp4 Arson 3 20 40 48\n")
    return tmp_path


def files_below(folder: pathlib.Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@needs_beam
def test_the_bytes_are_those_of_the_plain_path(made):
    plain = package(made, "plain")
    beam = package(made, "beam", "--beam_runner=DirectRunner", "--beam_workers=2")
    assert (plain.returncode, beam.returncode) == (0, 0), beam.stderr
    assert beam.stderr == plain.stderr
    assert beam.stdout == plain.stdout.replace(str(made / "plain"), str(made / "beam"))
    assert len(files_below(made / "plain")) == 5
    assert files_below(made / "plain") == files_below(made / "beam")
    assert read_info(str(made / "beam"), "made").normalization == {"visual": "none"}


@needs_beam
def test_a_bad_video_ends_in_the_line_of_the_plain_path(made):
    np.save(made / "features" / "train09_x264.npy", np.full((12, 4), np.nan))
    plain = package(made, "data")
    beam = package(made, "data", "--beam_runner=DirectRunner", "--beam_workers=2")
    assert (plain.returncode, beam.returncode) == (2, 2)
    assert "train09_x264.npy: nan at" in plain.stderr
    assert beam.stderr == plain.stderr
    assert not (made / "data").exists()


@needs_beam
@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("NoRunner", "", "--beam_runner=NoRunner: Unexpected pipeline runner"),
        ("DirectRunner", "--no_such=1", "Beam knows no option no_such of this runner"),
        ("DirectRunner", "--direct_num_workers=x", "invalid int"),
        ("DirectRunner", "'", "No closing quotation"),
        ("", "--direct_num_workers=2", "need --beam_runner"),
    ],
)
def test_misuse_is_one_line(runner, options, message):
    with pytest.raises(UserError, match=message):
        make_pipeline(runner, options=options)


def test_without_beam_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"--beam_runner=DirectRunner .*pip install apache-beam"):
        make_pipeline("DirectRunner")


def video(number: int, value: float = 1.0) -> Video:
    load = functools.partial(np.full, (2, 3, 4), value)
    return Video(f"v{number}", "train", "Arson", load, f"v{number}.npy", spans=(Span(0, 16),))


def test_a_worker_makes_the_record_of_the_plain_path():
    unit, content = record_parts((video(7, 0.5), 3), INFO)
    assert unit == b'[[true], ""]\n'
    assert content == make_record(video(7, 0.5), INFO, 3).content
    with pytest.raises(UserError, match=r"v0\.npy: inf at crop 0, segment 0, channel 0"):
        record_parts((video(0, np.inf), 0), INFO)


def here(pipeline, runner, make, elements, folder, **_):
    """Instead of map_to_files; the third element is not made if the pipeline says so."""
    assert [name for name, _ in elements] == [f"v{i}" for i in range(len(elements))]
    (folder / "done").mkdir(exist_ok=True)
    for i, (_, element) in enumerate(elements):
        if i == 2 and pipeline:
            raise RunnerError(pipeline)
        if not (folder / "done" / str(i)).exists():
            (folder / "done" / str(i)).write_bytes(b"".join(make(element)))
    yield from (folder / "done" / str(i) for i in range(len(elements)))


def test_the_files_of_workers_become_the_records(tmp_path, monkeypatch):
    monkeypatch.setattr(beam_packaging, "map_to_files", here)
    places = [(video(i), i) for i in range(2)]
    found = make_on_beam(INFO, places, tmp_path / "staging", pipeline=None, runner="R")
    assert list(found) == [make_record(one, INFO, i) for one, i in places]
    assert not list((parts_folder(tmp_path / "staging") / "done").iterdir())


def test_what_is_made_stays_if_the_cluster_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(beam_packaging, "map_to_files", here)
    videos = [video(i) for i in range(4)]
    dataset = tmp_path / "there" / "feature_bags" / "tiny"

    def package(pipeline, info=INFO):
        make = functools.partial(make_on_beam, pipeline=pipeline, runner="R")
        write_dataset(str(tmp_path / "there"), info, videos, make_records=make)

    with pytest.raises(RunnerError, match="gone"):
        package("gone")
    (parts,) = dataset.iterdir()
    assert sorted(path.name for path in (parts / "done").iterdir()) == ["0", "1"]
    (parts / "done" / "0").write_bytes(b"seen")
    with pytest.raises(RunnerError):  # of other input: nothing is taken over
        package("gone", dataclasses.replace(INFO, provenance={"other": 1}))
    assert (parts / "done" / "0").read_bytes() != b"seen"
    package(None)
    write_dataset(str(tmp_path / "here"), INFO, videos)
    assert files_below(tmp_path / "here") == files_below(tmp_path / "there")


def test_records_made_elsewhere_make_the_same_folder(tmp_path):
    videos = [video(i) for i in range(4)]
    write_dataset(str(tmp_path / "here"), INFO, videos)

    def elsewhere(info, places, folder):
        made = [make_record(video, info, i) for video, i in reversed(places)]
        return reversed(made)

    write_dataset(str(tmp_path / "there"), INFO, videos, make_records=elsewhere)
    assert files_below(tmp_path / "here") == files_below(tmp_path / "there")
