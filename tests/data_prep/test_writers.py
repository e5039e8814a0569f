import json
import pathlib

import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from data_prep.sources.package import Request, read_request
from data_prep.writers import write
from refinevad_jax.data.bags import Bag, BagsInfo, Modality, read_info, read_split
from refinevad_jax.errors import UserError
from tests.conftest import call

WIDTH = 4


def make_dataset(folder: pathlib.Path, *, crops: int = 2) -> tuple[BagsInfo, list[Bag]]:
    rng = np.random.default_rng(0)
    rows = [
        ("x__#1_label_B1-B2-0", "B1-B2-0", 83, (Span(3, 20, "B1"), Span(15, 70, "B2"))),
        ("v=y__#1_label_G-0-0", "G-0-0", 48, (Span(0, 48, "G"),)),
        ("v=z__#1_label_A", "A", 50, ()),
        ("v=u__#1_label_B4-B6-0", "B4-B6-0", 95, (Span(5, 9),)),
    ]
    videos = [
        Video(
            video_id=video,
            split="test",
            label=label,
            load_features=lambda n=frames: rng.normal(size=(crops, n // 16, WIDTH)),
            source=video,
            num_frames=frames,
            fps=24.0,
            spans=spans,
        )
        for video, label, frames, spans in rows
    ]
    info = BagsInfo("made", XD_VIOLENCE, (Modality("visual", WIDTH),), provenance={"made": 1})
    write_dataset(str(folder), info, videos)
    return read_info(str(folder), "made"), read_split(str(folder), "made", "test")


def assert_same(bag: Bag, again: Bag, *, categories: bool = True) -> None:
    assert (again.video_id, again.label) == (bag.video_id, bag.label)
    np.testing.assert_array_equal(again.features, bag.features)
    columns = 3 if categories else 2
    np.testing.assert_array_equal(again.spans[:, :columns], bag.spans[:, :columns])
    assert again.num_frames == bag.num_frames
    assert again.has_truth


@pytest.mark.parametrize(
    ("writer", "list_file", "annotation", "categories"),
    [
        ("vadclip", "list.csv", "gt_segment.json", True),
        ("ur_dmu", "features.list", "annotation.txt", False),
        ("lagovad", "test_anno.json", "test_anno.json", False),
        ("activitynet", None, "ground_truth.json", True),
    ],
)
def test_out_and_in_again_is_the_same(tmp_path, writer, list_file, annotation, categories):
    info, bags = make_dataset(tmp_path / "data")
    out = tmp_path / "out"
    out.mkdir()
    write(writer, out, bags, info)
    if list_file is None:  # a truth without features
        write("vadclip", out, bags, info)
        list_file = "list.csv"
    request = Request(
        {"test": out / list_file},
        {"visual": out / "features"},
        name="again",
        taxonomy=XD_VIOLENCE,
        annotations=out / annotation,
        frame_counts=out / "num_frames.txt",
    )
    again_info, videos = read_request(request)
    write_dataset(str(tmp_path / "data"), again_info, videos)
    for bag, again in zip(bags, read_split(str(tmp_path / "data"), "again", "test"), strict=True):
        assert_same(bag, again, categories=categories)
        assert writer != "activitynet" or again.fps == bag.fps


def test_vadclip_truth_arrays(tmp_path):
    info, bags = make_dataset(tmp_path / "data")
    write("vadclip", tmp_path, bags, info)
    gt = np.load(tmp_path / "gt.npy")
    assert gt.shape == (80 + 48 + 48 + 80,)
    assert gt[:80].sum() == 67 and gt[80:128].all() and not gt[128:176].any()
    segments = np.load(tmp_path / "gt_segment.npz", allow_pickle=False)
    labels = np.load(tmp_path / "gt_label.npz", allow_pickle=False)
    np.testing.assert_array_equal(segments["x__#1_label_B1-B2-0"], [[3, 20], [15, 70]])
    assert labels["x__#1_label_B1-B2-0"].tolist() == ["B1", "B2"]
    np.testing.assert_array_equal(segments["v=z__#1_label_A"], [[0, 48]])
    assert json.loads((tmp_path / "gt_segment.json").read_text())[2] == {
        "video": "v=z__#1_label_A",
        "segments": [[0, 48]],
        "labels": ["A"],
    }


def test_single_crop_of_lagovad_has_no_suffix(tmp_path):
    info, bags = make_dataset(tmp_path / "data", crops=1)
    write("lagovad", tmp_path, bags, info)
    entry = json.loads((tmp_path / "test_anno.json").read_text())[1]
    assert entry["path"] == "features/v=y__#1_label_G-0-0.npy"
    assert entry["anomaly_span"] == [[0.0, 1.0]]
    assert np.load(tmp_path / entry["path"]).shape == (3, WIDTH)


@pytest.mark.parametrize(
    ("video_id", "label", "message"),
    [
        ("made_i3d", "Abuse", "would read this name as 'made'"),
        ("two words", "Abuse", "no blank"),
    ],
)
def test_names_that_would_change_are_refused(tmp_path, video_id, label, message):
    bag = Bag(
        video_id=video_id,
        label=label,
        labels=UCF_CRIME.multi_hot(label),
        features=np.zeros((1, 2, WIDTH), np.float16),
        num_frames=32,
        fps=0.0,
        spans=np.zeros((0, 3), np.int32),
        has_truth=False,
    )
    info = BagsInfo("made", UCF_CRIME, (Modality("visual", WIDTH),))
    with pytest.raises(UserError, match=message):
        write("vadclip", tmp_path, [bag], info)
    assert not list(tmp_path.iterdir())


def test_convert_command(tmp_path):
    make_dataset(tmp_path / "data")
    command = [
        "data_prep.convert",
        f"--data_dir={tmp_path / 'data'}",
        "--dataset=made",
        "--format=vadclip",
        f"--output_dir={tmp_path / 'out'}",
    ]
    done = call(*command)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "test" / "gt_segment.json").is_file()
    refused = call(*command)
    assert refused.returncode == 2 and "pass --overwrite" in refused.stderr
    (tmp_path / "file").touch()
    onto_file = [*command, "--overwrite", f"--output_dir={tmp_path / 'file'}"]
    refused = call(*onto_file)
    assert refused.returncode == 2 and "is a file" in refused.stderr
    assert (tmp_path / "file").is_file()
    twice = [*command, "--overwrite", "--split=test", "--split=test"]
    done = call(*twice)
    assert done.stdout.count("gt_segment.json") == 1, done.stderr
    (tmp_path / "home" / "letters").mkdir(parents=True)
    onto_others = [*command, "--overwrite", f"--output_dir={tmp_path / 'home'}"]
    refused = call(*onto_others)
    assert refused.returncode == 2 and "letters: not a split of 'made'" in refused.stderr
    assert (tmp_path / "home" / "letters").is_dir()
