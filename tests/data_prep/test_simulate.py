"""The demonstration data set as the command writes it."""

import subprocess

import pytest

from refinevad_jax.data.bags import read_info, read_split
from tests.conftest import call


def run(*flags: str) -> subprocess.CompletedProcess:
    return call("data_prep.simulate", *flags)


def test_a_simulated_data_set_is_written_read_and_repeated(tmp_path):
    for name, more in (("one", []), ("two", ["--seed=0"])):
        done = run(f"--data_dir={tmp_path / name}", "--num_videos=40", *more)
        assert (done.returncode, done.stderr) == (0, "")
    assert "simulated" in done.stdout
    assert "--config=demo --config.data.dataset=sim" in done.stdout

    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes(), path.name

    info = read_info(str(tmp_path / "one"), "sim")
    assert info.simulated
    for split, size in {"train": 24, "val": 8, "test": 8}.items():
        bags = read_split(str(tmp_path / "one"), "sim", split)
        assert len(bags) == size
        assert sum(bag.anomalous for bag in bags) == size // 2
        assert {bag.has_truth for bag in bags} == {split != "train"}
        assert all((len(bag.spans) > 0) == (bag.anomalous and bag.has_truth) for bag in bags)
        for bag in bags:
            assert bag.features.shape == (1, bag.num_frames // 16, info.width)


@pytest.mark.parametrize(
    "flag", ["--num_videos=19", "--num_videos=241", "--seed=-1", "--seed=x", "--seed=3"]
)
def test_misuse_ends_in_one_line(flag, tmp_path):
    done = run(f"--data_dir={tmp_path / 'data'}", flag)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--clips=a"], "--clips=a: there are train_000 .. test_047"),
        (["--clips=test_001", "--features=f"], "--clips has no effect with --features"),
    ],
)
def test_misuse_of_the_renderer_ends_in_one_line(flags, message, tmp_path):
    done = call("data_prep.simulate_video", f"--output={tmp_path / 'clips'}", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
