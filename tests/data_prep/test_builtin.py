"""The data set that ships: no source in two splits, labels are those of the clips."""

import pathlib

import numpy as np
import pytest

from data_prep.builtin import survfight
from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.encoders import i3d
from refinevad_jax.files.arrays import load_packed
from tests.conftest import call


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return load_packed(survfight.SHIPPED)


def test_no_source_is_in_two_splits(arrays: dict[str, np.ndarray]) -> None:
    clip = np.repeat(np.arange(len(arrays["clip_name"])), np.diff(arrays["clip_offsets"]))
    sources = {}
    for split, bags in survfight.compose(arrays).items():
        for snippets, is_fight in bags:
            np.testing.assert_array_equal(arrays["clip_is_fight"][clip[snippets]], is_fight)
        used = np.concatenate([snippets for snippets, _ in bags])
        sources[split] = set(arrays["clip_source"][clip[used]].tolist())
    assert {split: len(names) for split, names in sources.items()} == {
        "train": 37,
        "val": 12,
        "test": 25,
    }
    assert len(set.union(*sources.values())) == 37 + 12 + 25


def test_bags_are_composed_as_documented(arrays: dict[str, np.ndarray]) -> None:
    bags = survfight.compose(arrays)
    again = survfight.compose(arrays)
    for split, count in survfight.NUM_BAGS.items():
        assert len(bags[split]) == count
        assert sum(is_fight.any() for _, is_fight in bags[split]) == count // 2
        for (snippets, is_fight), (same, _) in zip(bags[split], again[split], strict=True):
            assert survfight.SHORTEST <= len(snippets) <= survfight.LONGEST
            assert np.abs(np.diff(is_fight, prepend=0, append=0)).sum() in (0, 2)  # one stretch
            np.testing.assert_array_equal(snippets, same)
    np.testing.assert_array_equal(bags["test"][0][0], arrays["composed_test_bags"][0])


def test_one_command_makes_it(tmp_path: pathlib.Path) -> None:
    done = call("data_prep.package", "--builtin=survfight", f"--data_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["val", "160", "80", "80", "160", "1", "3/15/63"] in rows
    info = read_info(str(tmp_path), "survfight")
    assert "the arrangement of clips into bags is made up" in info.source
    assert info.encoder == i3d.NAME and not info.simulated
    bags = read_split(str(tmp_path), "survfight", "test")
    assert sum(len(bag.spans) for bag in bags) >= 75
    assert not any(bag.has_truth for bag in read_split(str(tmp_path), "survfight", "train"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--builtin=ucf"], "value should be one of <survfight>"),
        (["--builtin=survfight", "--list=train=a.csv"], "--list has no effect with --builtin"),
        (["--builtin=survfight", "--taxonomy=tad"], "--taxonomy has no effect with --builtin"),
        ([], "--name (name of the data set"),
    ],
)
def test_misuse_is_one_line(flags: list[str], words: str, tmp_path: pathlib.Path) -> None:
    done = call("data_prep.package", f"--data_dir={tmp_path / 'data'}", *flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert words in done.stderr and not (tmp_path / "data").exists()


def test_the_file_is_the_one_that_was_extracted(shared_data: pathlib.Path) -> None:
    original = shared_data / "survfight_i3d" / "survfight_i3d_rgb.npz"
    assert survfight.SHIPPED.read_bytes() == original.read_bytes()
