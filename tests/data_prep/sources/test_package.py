import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.videos import Span
from data_prep.dataset.write import write_dataset
from data_prep.sources.lists import read_list
from data_prep.sources.package import (
    Request,
    hash_files,
    parse_named,
    read_request,
)
from data_prep.sources.recorded import MAX_HASHED_BYTES, digests_of
from refinevad_jax.data.bags import read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"

ABNORMAL = Taxonomy("two_classes", ("Abnormal",), ("Abnormal",))


def save(path: pathlib.Path, array: np.ndarray) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def make_list(path: pathlib.Path, *rows: str) -> pathlib.Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def read(tmp_path: pathlib.Path, *rows: str, **options):
    """Reads one list `val` of files below tmp_path/features."""
    path = make_list(tmp_path / "train.csv", *rows)
    options = {"name": "f", "taxonomy": UCF_CRIME, **options}
    return read_request(Request({"val": path}, {"visual": tmp_path / "features"}, **options))


def test_one_file_per_crop_makes_one_video(tmp_path):
    # Crop 0 of Roc-Ng's release carries no number; the order of the rows is not the crops'.
    for crop, name in ((2, "Abuse001_x264__2"), (0, "Abuse001_x264"), (1, "Abuse001_x264__1")):
        save(tmp_path / "features" / f"{name}.npy", np.full((3, 4), crop))
    rows = ["Abuse001_x264__2.npy,Abuse", "Abuse001_x264.npy,Abuse", "Abuse001_x264__1.npy,Abuse"]
    _, (video,) = read(tmp_path, *rows)
    assert video.video_id == "Abuse001_x264"
    assert video.load_features()[:, 0, 0].tolist() == [0, 1, 2]
    _, (video,) = read(tmp_path, *rows, num_crops=2)
    assert video.load_features()[:, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["Abuse001__0.npy,Abuse", "Abuse001__0.npy,Abuse"],
            "train.csv:2: video Abuse001, crop 0 appears twice",
        ),
        (["Abuse001.npy,Abuse", "Abuse001__0.npy,Abuse"], "video Abuse001, crop 0 appears twice"),
        (
            ["Abuse001__0.npy,Abuse", "Abuse001__1.npy,Arson"],
            "csv:2: video Abuse001 is 'Arson' here, 'Abuse' in line 1",
        ),
        (
            ["Abuse001__0.npy,Abuse", "Abuse001__2.npy,Abuse"],
            r"crops differ in shape: .*Abuse001__2\.npy \(9, 4\)",
        ),
        (["Abuse001__0.npy,Abuse", "Abuse001__3.npy,Abuse"], r"float32 of shape \(2, 3, 4\)"),
        (["b.mp4,Abuse"], r"csv:1: no file of b\.mp4 below"),
        (
            ["Abuse001__0.npy,Abuse", "Abuse001__7.npy,Abuse"],
            r"csv:2: no file of Abuse001__7\.npy below",
        ),
    ],
)
def test_crops_that_do_not_fit_together_are_refused(rows, message, tmp_path):
    for name, shape in {
        "Abuse001": (3, 4),
        "Abuse001__0": (3, 4),
        "Abuse001__1": (3, 4),
        "Abuse001__2": (9, 4),
    }.items():
        save(tmp_path / "features" / f"{name}.npy", np.ones(shape, np.float32))
    save(tmp_path / "features" / "Abuse001__3.npy", np.ones((2, 3, 4), np.float32))
    with pytest.raises(UserError, match=message):
        read(tmp_path, *rows)


def test_bad_feature_files_are_refused_from_their_headers(tmp_path):
    good = save(tmp_path / "features" / "cut.npy", np.ones((3, 4)))
    good.write_bytes(good.read_bytes()[:-8])
    save(tmp_path / "features" / "empty.npy", np.ones((0, 4)))
    save(tmp_path / "features" / "map.npy", np.ones((3, 7, 7, 4)))
    save(tmp_path / "features" / "text.npy", np.array([["a", "b"]]))
    pickled = tmp_path / "features" / "object.npy"
    np.save(pickled, np.array([[1, None]]), allow_pickle=True)
    (tmp_path / "features" / "junk.npy").write_bytes(b"junk")
    for name, message in {
        "cut": r"cut\.npy: .*cut short",
        "empty": r"empty\.npy: no segments",
        "map": r"map\.npy: float64 of shape \(3, 7, 7, 4\); expected .* array\.mean",
        "text": r"text\.npy: <U1",
        "object": r"object\.npy: an object array",
        "junk": r"junk\.npy: not an \.npy file",
        "none": r"train\.csv:1: no file of none\.npy below",
    }.items():
        with pytest.raises(UserError, match=message):
            read(tmp_path, f"{name}.npy,Normal")


def test_provenance_tells_other_features_lists_and_arguments_apart(tmp_path):
    save(tmp_path / "features" / "a.npy", np.ones((3, 4), np.float32))
    first = read(tmp_path, "a.npy,Abuse")[0].provenance
    assert read(tmp_path, "a.npy,Abuse")[0].provenance == first
    assert str(tmp_path) not in str(first)
    assert read(tmp_path, "a.npy,Abuse", encoder="i3d")[0].provenance != first
    assert read(tmp_path, "a.npy,Abuse", taxonomy=XD_VIOLENCE)[0].provenance != first
    assert read(tmp_path, "a.npy,Arson")[0].provenance != first
    save(tmp_path / "features" / "a.npy", np.zeros((3, 4), np.float32))
    assert read(tmp_path, "a.npy,Abuse")[0].provenance != first


def hashed(files: list[pathlib.Path], root: pathlib.Path) -> dict[str, str]:
    return hash_files(files, root, digests_of(files))


def test_large_archives_are_hashed_by_path_and_size(tmp_path):
    small = save(tmp_path / "a.npy", np.ones(3))
    assert hashed([small], tmp_path)["over"] == "path, size and content"
    large = tmp_path / "b.npy"
    with large.open("wb") as file:
        file.truncate(MAX_HASHED_BYTES)  # sparse: no disk, no time
    digest = hashed([small, large], tmp_path)
    assert digest["over"] == "path and size"
    assert digest == hashed([large, small], tmp_path)
    save(small, np.zeros(3))
    assert hashed([small, large], tmp_path) == digest
    save(small, np.zeros(4))
    assert hashed([small, large], tmp_path) != digest


def save_all(folder: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, array)


def read_bags(tmp_path: pathlib.Path, lists: dict, features: dict, **options):
    options.setdefault("taxonomy", UCF_CRIME)
    info, videos = read_request(Request(lists, features, name="made", **options))
    write_dataset(str(tmp_path / "data"), info, videos)
    return info, {bag.video_id: bag for bag in read_split(str(tmp_path / "data"), "made", "test")}


@pytest.mark.parametrize(
    ("rows", "recordings"),
    [
        (["path,label,source", "a.npy,Abuse,gate", "b.npy,Normal,"], ["gate", ""]),
        (["video;label;place;Source", "a.mp4;Abuse;x;gate 1", "b.mp4;Normal;y;b.mp4"],
         ["gate 1", "b.mp4"]),
        (["path,label,other", "a.npy,Abuse,gate", "b.npy,Normal,door"], ["", ""]),
        (["path,label", "01_0014.npy,Abuse", "02_001.npy,Normal"], ["01", "02"]),
        (["path,label", "01_0014.npy,Abuse", "b.npy,Normal"], ["", ""]),  # names of nobody's
        (["path,label", "F.1__#1_label_B1-0-0.npy,Abuse", "F.1__#2_label_A.npy,Normal"],
         ["F.1", "F.1"]),
    ],
)  # fmt: skip
def test_the_recording_of_a_video_is_that_of_a_column_source_or_of_its_name(
    rows, recordings, tmp_path
):
    names = ["a", "b", "01_0014", "02_001", "F.1__#1_label_B1-0-0", "F.1__#2_label_A"]
    save_all(tmp_path / "features", {f"{name}.npy": ramp(3, 8) for name in names})
    _, videos = read(tmp_path, *rows)
    assert [video.recording for video in videos] == recordings


def test_the_data_set_keeps_recordings(tmp_path):
    save_all(tmp_path / "features", {"a.npy": ramp(3, 8), "b.npy": ramp(3, 8)})
    rows = "path,label,source", "a.npy,Abuse,gate", "b.npy,Normal,"
    lists = {"test": make_list(tmp_path / "test.csv", *rows)}
    _, bags = read_bags(tmp_path, lists, {"visual": tmp_path / "features"})
    assert {name: bag.recording for name, bag in bags.items()} == {"a": "gate", "b": ""}


def ramp(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(np.float32)


def test_crop_files_with_and_without_number(tmp_path):
    save_all(
        tmp_path / "f",
        {
            "Abuse/Abuse028_x264.npy": ramp(88, 4),
            "Abuse/Abuse028_x264__1.npy": ramp(88, 4) + 1,
            "Normal/Normal_Videos_003_x264__0.npy": ramp(3, 4),
            "Normal/Normal_Videos_003_x264__1.npy": ramp(3, 4) + 1,
        },
    )
    (tmp_path / "test.list").write_text(
        "test/Abuse028_x264.npy\ntest/Abuse028_x264__1.npy\n"
        "E:\\x\\Normal_Videos_003_x264__0.npy\nE:\\x\\Normal_Videos_003_x264__1.npy\n"
    )
    info, bags = read_bags(
        tmp_path,
        {"test": tmp_path / "test.list"},
        {"visual": tmp_path / "f"},
        annotations=FIXTURES / "henrryzh1+UR-DMU/list/UCF_Annotation.txt",
    )
    abuse = bags["Abuse028_x264"]
    np.testing.assert_array_equal(abuse.features, np.stack([ramp(88, 4), ramp(88, 4) + 1]))
    assert abuse.num_frames == 1412 and abuse.spans.tolist() == [[165, 240, 0]]
    assert bags["Normal_Videos_003_x264"].has_truth
    assert info.provenance["truth"]["version"] == "official (UCF-Crime), 6 of 290 videos"
    # 3 segments of a video of 2,822 frames follow no rule.
    assert info.provenance["length_rule"] == ("floor(n/16) in 1 of 2 videos with known frames")


def test_list_with_one_crop_takes_that_crop(tmp_path):
    save_all(tmp_path / "f", {f"Abuse028_x264__{k}.npy": ramp(3, 4) + k for k in range(10)})
    (tmp_path / "test.csv").write_text("path,label\r\n/home/x/Abuse/Abuse028_x264__5.npy,Abuse\r\n")
    _, bags = read_bags(tmp_path, {"test": tmp_path / "test.csv"}, {"visual": tmp_path / "f"})
    np.testing.assert_array_equal(bags["Abuse028_x264"].features, ramp(3, 4)[None] + 5)


@pytest.mark.parametrize("axis", ["time_first", "crops_first"])
def test_crops_on_an_axis(tmp_path, axis):
    arrays = {"Abuse028_x264": ramp(5, 10, 4), "Normal_Videos_003_x264": ramp(7, 10, 4)}
    save_all(
        tmp_path / "f",
        {
            f"{video}_i3d.npy": array if axis == "time_first" else array.swapaxes(0, 1)
            for video, array in arrays.items()
        },
    )
    (tmp_path / "t.list").write_text("".join(f"G:\\f\\{video}_i3d.npy\r\n" for video in arrays))
    info, bags = read_bags(tmp_path, {"test": tmp_path / "t.list"}, {"visual": tmp_path / "f"})
    assert info.provenance["layouts"] == [axis]
    for video, array in arrays.items():
        np.testing.assert_array_equal(bags[video].features, array.swapaxes(0, 1))


def test_text_features_of_sultani(tmp_path):
    rows = ramp(32, 6) / 251
    (tmp_path / "f").mkdir()
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows)
    (tmp_path / "f" / "Explosion008_x264.txt").write_text(lines + "\n")
    (tmp_path / "t.txt").write_text("Explosion/Explosion008_x264.mp4\n")
    _, bags = read_bags(tmp_path, {"test": tmp_path / "t.txt"}, {"visual": tmp_path / "f"})
    np.testing.assert_allclose(bags["Explosion008_x264"].features[0], rows, atol=1e-3)


def test_audio_is_repeated_for_the_crops_and_may_be_one_longer(tmp_path):
    video = "v=x__#1_label_B1-B2-0"
    save_all(tmp_path / "rgb", {f"{video}__{k}.npy": ramp(6, 4) + k for k in range(5)})
    save_all(tmp_path / "audio", {f"{video}__vggish.npy": ramp(7, 3)})
    lines = "".join(f"/RGBTest/{video}__{k}.npy\n" for k in range(5))
    (tmp_path / "rgb_test.list").write_text(lines)
    info, bags = read_bags(
        tmp_path,
        {"test": tmp_path / "rgb_test.list"},
        {"visual": tmp_path / "rgb", "audio": tmp_path / "audio"},
        taxonomy=XD_VIOLENCE,
    )
    features = bags[video].features
    assert [m.width for m in info.modalities] == [4, 3] and features.shape == (5, 6, 7)
    np.testing.assert_array_equal(features[3, :, :4], ramp(6, 4) + 3)
    np.testing.assert_array_equal(features[4, :, 4:], ramp(7, 3)[:6])
    save_all(tmp_path / "audio", {f"{video}__vggish.npy": ramp(8, 3)})
    with pytest.raises(UserError, match=r"T = 6, 8; T of two may differ by one segment"):
        read_bags(
            tmp_path / "b",
            {"test": tmp_path / "rgb_test.list"},
            {"visual": tmp_path / "rgb", "audio": tmp_path / "audio"},
            taxonomy=XD_VIOLENCE,
        )


def test_flow_beside_rgb_needs_a_folder_of_its_own(tmp_path):
    video = "v=x__#1_label_G"
    save_all(
        tmp_path / "f", {f"RGB/{video}__0.npy": ramp(3, 4), f"Flow/{video}__0.npy": -ramp(3, 4)}
    )
    (tmp_path / "t.list").write_text(f"/media/i3d/Flow/{video}__0.npy\n")
    _, bags = read_bags(
        tmp_path, {"test": tmp_path / "t.list"}, {"v": tmp_path / "f"}, taxonomy=XD_VIOLENCE
    )
    np.testing.assert_array_equal(bags[video].features[0], -ramp(3, 4))
    (tmp_path / "t.list").write_text(f"{video}__0.npy\n")
    with pytest.raises(UserError, match="folder of one encoder only"):
        read_bags(
            tmp_path, {"test": tmp_path / "t.list"}, {"v": tmp_path / "f"}, taxonomy=XD_VIOLENCE
        )


def test_names_without_a_label_need_a_column(tmp_path):
    save_all(tmp_path / "f", {"own.npy": ramp(3, 4)})
    (tmp_path / "t.list").write_text("own.npy\n")
    arguments = ({"test": tmp_path / "t.list"}, {"v": tmp_path / "f"})
    with pytest.raises(UserError, match=r"list:1: video own has no label.*path,label"):
        read_request(Request(*arguments, name="made", taxonomy=ABNORMAL))
    (tmp_path / "t.list").write_text("path,label\nown.npy,Abnormal\n")
    info, videos = read_request(Request(*arguments, name="made", taxonomy=ABNORMAL))
    assert videos[0].label == "Abnormal" and videos[0].num_frames == 48
    assert json.dumps(info.provenance)


def test_the_same_file_name_in_two_folders_is_two_videos(tmp_path):
    save_all(tmp_path / "f", {"a/one.npy": ramp(3, 4), "b/one.npy": ramp(5, 4)})
    (tmp_path / "t.csv").write_text("path,label\na/one.npy,Normal\nb/one.npy,Abnormal\n")
    (tmp_path / "truth.txt").write_text("b/one.mp4 Abnormal 10 20\na/one.mp4 Normal -1 -1\n")
    request = Request({"test": tmp_path / "t.csv"}, {"v": tmp_path / "f"}, "made", ABNORMAL)
    _, videos = read_request(dataclasses.replace(request, annotations=tmp_path / "truth.txt"))
    assert [(video.video_id, video.num_frames, len(video.spans)) for video in videos] == [
        ("a/one", 48, 0),
        ("b/one", 80, 1),
    ]
    (tmp_path / "t.csv").write_text("path,label\na/one.npy,Normal\n./a/one.npy,Normal\n")
    with pytest.raises(UserError, match=r"csv:3: video one appears twice"):
        read_request(request)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"other.npy": ramp(3, 4)}, r"list:1: no file of Abuse028_x264 below"),
        ({"Abuse028_x264.npy": np.array(4.0)}, "expected numbers of shape"),
        ({"Abuse028_x264.npy": ramp(0, 4)}, "no segments"),
        ({"Abuse028_x264.npy": np.array([["a"]])}, "expected numbers of shape"),
        (
            {"Abuse028_x264__0.npy": ramp(3, 4), "Abuse028_x264__1.npy": ramp(3, 5)},
            r"crops differ in shape: .*\(3, 4\), .*\(3, 5\)",
        ),
    ],
)
def test_bad_feature_files_are_named(tmp_path, files, message):
    save_all(tmp_path / "f", files)
    (tmp_path / "t.list").write_text("Abuse028_x264\n")
    with pytest.raises(UserError, match=message):
        read_bags(
            tmp_path, {"test": tmp_path / "t.list"}, {"v": tmp_path / "f"}, taxonomy=UCF_CRIME
        )


def test_shares_need_frame_counts_outside_ucf(tmp_path):
    video = "own_a"
    save_all(tmp_path / "f", {f"{video}.npy": ramp(3, 4)})
    entry = {"path": f"{video}.npy", "class_name": "Abnormal", "anomaly_span": [[0.5, 1.0]]}
    (tmp_path / "anno.json").write_text(json.dumps([entry]))
    arguments = ({"test": tmp_path / "anno.json"}, {"v": tmp_path / "f"})
    options = {"name": "made", "taxonomy": ABNORMAL, "annotations": tmp_path / "anno.json"}
    with pytest.raises(UserError, match="number of frames is not known"):
        read_request(Request(*arguments, **options))
    (tmp_path / "n.txt").write_text(f"{video}@50\n")
    _, videos = read_request(Request(*arguments, **options, frame_counts=tmp_path / "n.txt"))
    assert videos[0].spans == (Span(25, 50, "Abnormal"),) and videos[0].num_frames == 50


def test_released_lists_and_annotations_become_a_data_set(shared_data, tmp_path):
    published = shared_data / "published"
    released = published / "nwpu-zxr+VadCLIP" / "list" / "ucf_CLIP_rgbtest.csv"
    with (shared_data / "derived" / "ucf_test_index.csv").open(newline="") as file:
        frames = {row["video"]: int(row["frames_raw"]) for row in csv.DictReader(file)}
    for entry in read_list(released).entries:
        name = pathlib.PurePosixPath(entry.path)
        segments = frames[name.stem.removesuffix("__5")] // 16
        save(tmp_path / name.parent.name / name.name, np.ones((segments, 2), np.float16))
    truth = published / "henrryzh1+UR-DMU" / "list" / "UCF_Annotation.txt"
    info, videos = read_request(
        Request({"test": released}, {"visual": tmp_path}, "ucf", UCF_CRIME, annotations=truth)
    )
    write_dataset(str(tmp_path / "data"), info, videos)
    bags = {bag.video_id: bag for bag in read_split(str(tmp_path / "data"), "ucf", "test")}
    assert len(bags) == 290
    assert all(bag.has_truth for bag in bags.values())
    assert sum(len(bag.spans) > 0 for bag in bags.values()) == 140
    # The raw frame counts and the positive frames of the field, spans past the end clipped.
    assert sum(bag.num_frames for bag in bags.values()) == 1_111_808
    positive = sum((bag.spans[:, 1] - bag.spans[:, 0]).sum() for bag in bags.values())
    assert 84_128 <= positive <= 84_300
    assert bags["Abuse028_x264"].spans.tolist() == [[165, 240, 0]]


def test_lists_and_folders_of_the_command_line():
    lists = parse_named(["train=a=b.csv", "test=t.csv"], "list", "SPLIT=FILE")
    assert lists == {"train": pathlib.Path("a=b.csv"), "test": pathlib.Path("t.csv")}
    for texts, message in (
        (["a.csv"], "--list=a.csv: expected SPLIT=FILE"),
        (["x=a", "x=b"], "--list=x=b: x appears twice"),
        (["visual=a"], "visual appears twice"),
    ):
        with pytest.raises(UserError, match=message):
            parse_named(texts, "list", "SPLIT=FILE", ("visual",))


def test_one_file_holds_all_videos(tmp_path, capsys):
    np.savez(tmp_path / "all.npz", v1=ramp(3, 4), v2=ramp(5, 4))
    (tmp_path / "t.csv").write_text("path,label\nv1.mp4,Normal\nx/v2.mp4,Abuse\n")
    lists = {"test": tmp_path / "t.csv"}
    for folder in (tmp_path / "all.npz", tmp_path):
        request = Request(lists, {"v": folder}, name="made", taxonomy=UCF_CRIME)
        info, videos = read_request(request)
        assert [video.load_features().shape for video in videos] == [(1, 3, 4), (1, 5, 4)]
        assert info.provenance["features"]["v"]["over"] == "path, size and content"
    np.savez(tmp_path / "all.npz", v1=ramp(3, 4).astype(int), v2=ramp(5, 4))
    read_request(request)
    assert "whole numbers are read as they are" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "rows", "message"),
    [
        (
            ["1"],
            ["a/1.mp4,Normal", "b/1.mp4,Abnormal"],
            r"1\.npy: a/1 and b/1; they share this file",
        ),
        (
            ["a/1"],
            ["/x/a/1.mp4,Normal", "y/a/1.mp4,Normal"],
            r"x/a/1 and y/a/1; they share this file",
        ),
        (["a_rgb", "a_flow", "b"], ["a,Normal", "b,Normal"], r"a may be .*flow.npy or .*rgb.npy"),
        (["Gate", "GATE"], ["gate.mp4,Normal"], r"gate.mp4 may be .*GATE.npy or .*Gate.npy"),
        (["gate_flow", "b"], ["gate_rgb.npy,Normal", "b,Normal"], "no file of gate_rgb.npy below"),
        (["a/1", "b/1"], ["1,Normal"], "1 may be .*a/1.npy or .*b/1.npy"),
    ],
)
def test_whose_file_cannot_be_told_is_refused(files, rows, message, tmp_path):
    save_all(tmp_path / "f", {f"{name}.npy": ramp(3, 4) for name in files})
    path = make_list(tmp_path / "t.csv", "path,label", *rows)
    with pytest.raises(UserError, match=message):
        read_request(Request({"test": path}, {"v": tmp_path / "f"}, "made", ABNORMAL))


def test_files_with_similar_names_are_found_and_said(tmp_path, capsys):
    names = ["a_rgb", "Gate", "my clip", "c.2024-01-05", "d_clip"]
    save_all(tmp_path / "f", {f"{name}.npy": ramp(3, 4) for name in names})
    save_all(tmp_path / "g", {f"{name}_vggish.npy": ramp(3, 2) for name in "abcde"})
    rows = ["a.mp4,Normal", "gate.mp4,Normal", "my%20clip.mp4,Normal", "c.2024-01-05,Normal"]
    path = make_list(tmp_path / "t.csv", *rows)
    _, videos = read_request(Request({"test": path}, {"v": tmp_path / "f"}, "made", ABNORMAL))
    sources = [pathlib.Path(video.source).stem for video in videos]
    assert sources == ["a_rgb", "Gate", "my clip", "c.2024-01-05"]
    said = capsys.readouterr().err
    assert "similar names: a_rgb.npy for a.mp4; Gate.npy for gate.mp4; my clip.npy for" in said
    path = make_list(tmp_path / "t.csv", "path,label", "a,Normal", "d,Normal")
    folders = {"v": tmp_path / "f", "aud": tmp_path / "g"}
    _, videos = read_request(Request({"test": path}, folders, "made", ABNORMAL))
    assert [video.load_features().shape for video in videos] == [(1, 3, 6)] * 2
    assert "vggish" not in capsys.readouterr().err  # all names there end so
