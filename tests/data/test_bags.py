import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from refinevad_jax.data.bags import (
    BagsInfo,
    Modality,
    dataset_dir,
    read_info,
    read_split,
    split_sizes,
)
from refinevad_jax.errors import UserError

INFO = BagsInfo(
    name="tiny",
    taxonomy=XD_VIOLENCE,
    modalities=(Modality("visual", 3), Modality("text", 2)),
    encoder="none",
    source="made up",
    simulated=True,
    provenance={"seed": 1},
)


def ramp(num_crops: int, num_segments: int) -> np.ndarray:
    values = np.arange(num_crops * num_segments * 5, dtype=np.float32)
    return values.reshape(num_crops, num_segments, 5) / 8


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    # Names out of order: reading must give the order of the list.
    videos = [
        Video("zebra", "train", "A", lambda: ramp(1, 4), "z.npy"),
        Video("été #1", "train", "B1-G-0", lambda: ramp(2, 3), "e.npy", num_frames=50, fps=25.0),
        Video("apple", "train", "G", lambda: ramp(1, 1), "a.npy"),
        Video("m", "test", "B1-G", lambda: ramp(1, 2), "m.npy", spans=(Span(3, 9, "G"),)),
        Video("n", "test", "A", lambda: ramp(1, 2), "n.npy", spans=()),
    ]
    folder = tmp_path_factory.mktemp("bags")
    write_dataset(str(folder), INFO, videos)
    return str(folder)


def test_what_was_written_is_read_in_the_order_of_the_list(data_dir):
    bags = read_split(data_dir, "tiny", "train")
    assert [bag.video_id for bag in bags] == ["zebra", "été #1", "apple"]
    assert [bag.label for bag in bags] == ["A", "B1-G-0", "G"]
    assert [bag.anomalous for bag in bags] == [False, True, True]
    assert [bag.num_segments for bag in bags] == [4, 3, 1]
    assert [bag.num_frames for bag in bags] == [64, 50, 16]
    assert [bag.fps for bag in bags] == [0.0, 25.0, 0.0]
    assert not any(bag.has_truth for bag in bags)
    assert bags[1].labels.tolist() == [True, False, False, False, False, True]
    assert bags[1].features.dtype == np.float16
    np.testing.assert_array_equal(bags[1].features, ramp(2, 3))


def test_truth_is_known_for_a_normal_video_without_spans(data_dir):
    anomalous, normal = read_split(data_dir, "tiny", "test")
    assert anomalous.has_truth
    assert anomalous.spans.tolist() == [[3, 9, 5]]
    assert normal.has_truth
    assert normal.spans.shape == (0, 3)
    assert anomalous.spans.dtype == normal.spans.dtype == np.int32


def test_metadata_is_read_back(data_dir):
    info = read_info(data_dir, "tiny")
    normalization = {"visual": "none", "text": "none"}
    assert info == dataclasses.replace(INFO, normalization=normalization, fps=25.0)
    assert info.width == 5
    assert split_sizes(data_dir, "tiny") == {"train": 3, "test": 2}


def test_a_folder_may_say_nothing_of_the_normalization(tmp_path):
    values = {key: value for key, value in INFO.to_dict().items() if key != "normalization"}
    assert read_info(write_metadata(tmp_path, json.dumps(values)), "tiny") == INFO


def test_a_missing_data_set_is_answered_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"--data_dir, in training.*data_prep\.package --name=none"):
        read_info(str(tmp_path), "none")


def test_a_missing_split_is_answered_with_the_splits_there_are(data_dir):
    with pytest.raises(UserError, match=r"no split 'val'; it has .*train \(3\)"):
        read_split(data_dir, "tiny", "val")


def write_metadata(folder: pathlib.Path, text: str) -> str:
    target = dataset_dir(str(folder), "tiny")
    target.mkdir(parents=True)
    (target / "metadata.json").write_text(text)
    return str(folder)


def test_damaged_metadata_is_refused(tmp_path):
    values = INFO.to_dict()
    cases = {
        "schema version 0": {**values, "schema_version": 0},
        "damaged metadata": {key: values[key] for key in values if key != "modalities"},
        "no key 'categories'": {**values, "taxonomy": {}},
    }
    for number, (message, damaged) in enumerate(cases.items()):
        data_dir = write_metadata(tmp_path / str(number), json.dumps(damaged))
        with pytest.raises(UserError, match=message):
            read_info(data_dir, "tiny")
    with pytest.raises(UserError, match="damaged"):
        read_info(write_metadata(tmp_path / "cut", '{"schema_version": 1'), "tiny")


def test_a_record_file_cut_short_is_refused(tmp_path):
    video = Video("v", "train", "A", lambda: ramp(10, 500), "v.npy")
    folder = write_dataset(str(tmp_path), dataclasses.replace(INFO, name="cut"), [video])
    (records,) = folder.glob("*train*array_record*")
    records.write_bytes(records.read_bytes()[:40_000])
    with pytest.raises(UserError, match="split 'train' cannot be read"):
        read_split(str(tmp_path), "cut", "train")


@pytest.mark.parametrize("damage", [*range(6), "cut"])
def test_a_damaged_shard_is_named_and_nothing_of_it_is_read(
    damage: int | str, data_dir: str, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(data_dir, tmp_path, dirs_exist_ok=True)
    folder = dataset_dir(str(tmp_path), "tiny")
    shard = next(folder.glob("*train.array_record*"))
    content = bytearray(shard.read_bytes())
    if damage == "cut":
        content = content[: len(content) * 2 // 3]
    else:
        place = np.random.default_rng(damage).integers(8 * len(content))
        content[place // 8] ^= 1 << place % 8
    shard.write_bytes(content)
    try:
        bags = read_split(str(tmp_path), "tiny", "train")
    except UserError as error:
        assert "package the data again" in str(error)
    else:  # a bit of padding, which holds nothing
        for bag, intact in zip(bags, read_split(data_dir, "tiny", "train"), strict=True):
            assert bag.video_id == intact.video_id
            np.testing.assert_array_equal(bag.features, intact.features)


def test_a_data_set_may_be_renamed(data_dir: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "feature_bags"
    shutil.copytree(pathlib.Path(data_dir) / "feature_bags" / "tiny", folder / "renamed")
    info = read_info(str(tmp_path), "renamed")
    assert info.name == "renamed" and info.same_data(read_info(data_dir, "tiny"))
    assert len(read_split(str(tmp_path), "renamed", "test")) > 0
    with pytest.raises(UserError, match=r"no data set 'tiny' in .*, which has renamed: "):
        read_info(str(tmp_path), "tiny")
