import csv
import pathlib

import numpy as np
import pytest

from data_prep.annotations import Annotations
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.videos import Span
from data_prep.dataset.write import write_dataset
from data_prep.sources.feature_arrays import choose_layout, parse_modalities
from data_prep.sources.feature_lists import FeatureLists, add_truth, read_feature_lists
from data_prep.sources.file_hashes import MAX_HASHED_BYTES, hash_files
from data_prep.sources.list_files import find_file, parse_lists, read_rows
from data_prep.sources.released_features import load_crops
from refinevad_jax.data.bags import Modality, read_split
from refinevad_jax.errors import UserError


def save(path: pathlib.Path, array: np.ndarray) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def make_list(path: pathlib.Path, *rows: str) -> pathlib.Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def read(tmp_path: pathlib.Path, *rows: str, **options):
    """Reads one list `train` of files below tmp_path/features."""
    path = make_list(tmp_path / "train.csv", *rows)
    options = {"name": "f", "taxonomy": UCF_CRIME, **options}
    return read_feature_lists(FeatureLists({"train": path}, tmp_path / "features", **options))


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\r\na.npy,Abuse\r\n\r\nb.npy,Normal\r\n",
        b"a.npy,Abuse\nb.npy,Normal",
        b"\xef\xbb\xbfPath,Label\na.npy, Abuse\n\n  \nb.npy ,Normal\n",
        b'path,label\n"a.npy","Abuse"\n,\nb.npy,Normal\n',
    ],
)
def test_rows_in_every_spelling_of_csv(content, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    rows = read_rows(tmp_path / "list.csv")
    assert [row[1:] for row in rows] == [("a.npy", "Abuse"), ("b.npy", "Normal")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.npy\n", r"list\.csv:1: 'a.npy' is not path,label"),
        (b"a.npy,Abuse\nb.npy,\n", r"list\.csv:2: 'b.npy,' is not path,label"),
        (b"a.npy,Abuse,3\n", "is not path,label"),
        (b"a.npy Abuse\n", "is not path,label"),
        (b"\x93NUMPY\x01\x00", "not a CSV file"),
        (b'"a.npy,Abuse\n', "not a CSV file"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(content, message, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / "list.csv")


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: cannot be read \(No such file"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "features").mkdir()
    with pytest.raises(UserError, match=r"train\.csv: no rows"):
        read(tmp_path, "path,label")


def test_lists_of_the_command_line():
    lists = parse_lists(["train=a=b.csv", "test=t.csv"])
    assert lists == {"train": pathlib.Path("a=b.csv"), "test": pathlib.Path("t.csv")}
    for texts, message in ((["a.csv"], "SPLIT=FILE"), (["x=a", "x=b"], "stands twice")):
        with pytest.raises(UserError, match=message):
            parse_lists(texts)


@pytest.mark.parametrize(
    "listed",
    [
        "UCF/Abuse/a.npy",
        "./UCF/Abuse/a.npy",
        "UCF\\Abuse\\a.npy",
        "/home/someone/Desktop/UCF/Abuse/a.npy",
        "G:\\data\\UCF\\Abuse\\a.npy",
    ],
)
def test_a_path_is_found_below_the_root_by_its_longest_ending(listed, tmp_path):
    expected = save(tmp_path / "UCF" / "Abuse" / "a.npy", np.ones(1))
    save(tmp_path / "Abuse" / "a.npy", np.ones(1))
    save(tmp_path / "a.npy", np.ones(1))
    assert find_file(tmp_path, listed, source="list:1") == expected


def test_a_relative_path_is_not_guessed(tmp_path):
    save(tmp_path / "a.npy", np.ones(1))
    with pytest.raises(UserError, match=r"list:7: UCF/a\.npy is not below .*--features"):
        find_file(tmp_path, "UCF/a.npy", source="list:7")
    with pytest.raises(UserError, match="is not below"):
        find_file(tmp_path, "/UCF/b.npy", source="list:7")


def test_one_file_per_crop_makes_one_video(tmp_path):
    # Crop 0 of Roc-Ng's release carries no number; the order of the rows is not the crops'.
    for crop, name in ((2, "v_x264__2"), (0, "v_x264"), (1, "v_x264__1")):
        save(tmp_path / "features" / f"{name}.npy", np.full((3, 4), crop))
    rows = ["v_x264__2.npy,Abuse", "v_x264.npy,Abuse", "v_x264__1.npy,Abuse"]
    _, (video,) = read(tmp_path, *rows)
    assert video.video_id == "v_x264"
    assert video.load_features()[:, 0, 0].tolist() == [0, 1, 2]
    _, (video,) = read(tmp_path, *rows, num_crops=2)
    assert video.load_features()[:, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a__0.npy,Abuse", "a__0.npy,Abuse"], "train.csv:2: video a, crop 0 stands twice"),
        (["a.npy,Abuse", "a__0.npy,Abuse"], "video a, crop 0 stands twice"),
        (["a__0.npy,Abuse", "a__1.npy,Arson"], "video a is 'Arson' here, 'Abuse' in .*csv:1"),
        (["a__0.npy,Abuse", "a__2.npy,Abuse"], r"crops differ in shape: .*a__2\.npy \(9, 4\)"),
        (["a__0.npy,Abuse", "a__3.npy,Abuse"], r"float32 of shape \(2, 3, 4\)"),
        (["a.mp4,Abuse"], r"'a\.mp4' is no \.npy file"),
    ],
)
def test_crops_that_do_not_fit_together_are_refused(rows, message, tmp_path):
    for name, shape in {"a": (3, 4), "a__0": (3, 4), "a__1": (3, 4), "a__2": (9, 4)}.items():
        save(tmp_path / "features" / f"{name}.npy", np.ones(shape, np.float32))
    save(tmp_path / "features" / "a__3.npy", np.ones((2, 3, 4), np.float32))
    with pytest.raises(UserError, match=message):
        read(tmp_path, *rows)


def paths(*shapes: tuple[int, ...]) -> dict[pathlib.Path, tuple[int, ...]]:
    return {pathlib.Path(f"{index}.npy"): shape for index, shape in enumerate(shapes)}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(3, 4), (7, 4)], "none"),
        ([(10, 37, 4), (10, 5, 4)], "crops_first"),
        ([(37, 10, 4), (5, 10, 4)], "time_first"),
        ([(5, 10, 4), (5, 12, 4)], "crops_first"),
        ([(1, 10, 4), (1, 12, 4)], "crops_first"),
        ([(9, 1, 4)], "time_first"),
        ([(37, 10, 4), (12, 4)], "time_first"),
    ],
)
def test_the_axis_of_the_crops_is_told_by_its_size(shapes, expected):
    assert choose_layout("auto", paths(*shapes)) == expected


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 10, 4)], "both .* can be the crops .*--layout=crops_first or --layout=time_first"),
        ([(10, 10, 4), (10, 10, 4)], "both"),
        ([(7, 37, 4)], "neither"),
        ([(10, 37, 4), (37, 10, 4)], "neither"),
        ([(10, 37, 4), (5, 37, 4)], "neither"),
    ],
)
def test_an_axis_that_cannot_be_told_is_asked_for(shapes, message):
    with pytest.raises(UserError, match=message):
        choose_layout("auto", paths(*shapes))
    assert choose_layout("time_first", paths(*shapes)) == "time_first"


def test_both_layouts_give_crops_by_time(tmp_path):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    path = save(tmp_path / "a.npy", array)
    crops_first = load_crops([path], "crops_first")
    np.testing.assert_array_equal(crops_first, array)
    time_first = load_crops([path], "time_first", 2)
    np.testing.assert_array_equal(time_first, array.swapaxes(0, 1)[:2])


def test_modalities_are_runs_of_channels():
    assert parse_modalities([], paths((3, 6))) == (Modality("visual", 6),)
    assert parse_modalities(["visual=4", "text=2"], paths((3, 6), (5, 3, 6))) == (
        Modality("visual", 4),
        Modality("text", 2),
    )


@pytest.mark.parametrize(
    ("texts", "shapes", "message"),
    [
        ([], [(3, 6), (3, 5)], r"1\.npy: shape \(3, 5\), D = 5, but 0\.npy has D = 6"),
        (["visual=4"], [(3, 6)], "D = 6, but --modality adds up to 4"),
        (["visual"], [(3, 6)], "expected name=width"),
        (["visual=0"], [(3, 6)], "expected name=width"),
        (["a=3", "a=3"], [(3, 6)], "a stands twice"),
    ],
)
def test_widths_that_do_not_add_up_are_refused(texts, shapes, message):
    with pytest.raises(UserError, match=message):
        parse_modalities(texts, paths(*shapes))


def test_bad_feature_files_are_refused_from_their_headers(tmp_path):
    good = save(tmp_path / "features" / "cut.npy", np.ones((3, 4)))
    good.write_bytes(good.read_bytes()[:-8])
    save(tmp_path / "features" / "empty.npy", np.ones((0, 4)))
    save(tmp_path / "features" / "flat.npy", np.ones(4))
    save(tmp_path / "features" / "text.npy", np.array([["a", "b"]]))
    pickled = tmp_path / "features" / "object.npy"
    np.save(pickled, np.array([[1, None]]), allow_pickle=True)
    (tmp_path / "features" / "junk.npy").write_bytes(b"junk")
    for name, message in {
        "cut": r"cut\.npy: .*cut short",
        "empty": r"empty\.npy: no segments",
        "flat": r"flat\.npy: float64 of shape \(4,\); expected",
        "text": r"text\.npy: <U1",
        "object": r"object\.npy: an object array",
        "junk": r"junk\.npy: not an \.npy file",
        "none": r"train\.csv:1: none\.npy is not below",
    }.items():
        with pytest.raises(UserError, match=message):
            read(tmp_path, f"{name}.npy,Normal")


def annotations(spans: dict[str, tuple[Span, ...]], **stated) -> Annotations:
    return Annotations(
        grammar="test", source="truth.txt", video_ids=tuple(spans), spans=spans, **stated
    )


def videos_of(tmp_path, *rows: str):
    for row in rows:
        save(tmp_path / "features" / row.split(",")[0], np.ones((4, 2), np.float16))
    return read(tmp_path, *rows)


def test_truth_is_known_for_annotated_videos_and_the_normal_ones_beside_them(tmp_path):
    info, videos = videos_of(tmp_path, "a.npy,Abuse", "b.npy,Arson", "n.npy,Normal")
    test = [video.__class__(**{**vars(video), "split": "test"}) for video in videos]
    train = [
        video.__class__(**{**vars(video), "video_id": f"t{video.video_id}"}) for video in videos
    ]
    complete = add_truth([*train, *test], annotations({"a": (Span(3, 9, "Abuse"),)}), info)
    assert [video.spans for video in complete] == [
        *(None, None, None),  # no video of this split is annotated
        *((Span(3, 9, "Abuse"),), None, ()),
    ]


def test_stated_frames_and_rates_win_over_the_segments(tmp_path):
    info, videos = videos_of(tmp_path, "a_x264.npy,Abuse", "n_x264.npy,Normal")
    stated = annotations({"a": (Span(1, 2),)}, num_frames={"a": 70}, fps={"a": 25.0})
    first, second = add_truth(videos, stated, info)
    assert (first.num_frames, first.fps, first.spans) == (70, 25.0, (Span(1, 2),))
    assert (second.num_frames, second.fps, second.spans) == (64, 0.0, ())


def test_oddities_are_warned_of(tmp_path, capsys):
    info, videos = videos_of(tmp_path, "a.npy,Abuse", "b.npy,Arson", "n.npy,Normal")
    odd = annotations(
        {"a": (), "b": (Span(1, 2),), "n": (Span(1, 2),), "x": (), "y": ()},
        num_frames={"b": 96, "n": 95},
    )
    add_truth(videos, odd, info)
    assert capsys.readouterr().err.splitlines() == [
        "warning: annotated, but in no list: x, y (2 in all)",
        "warning: features and annotated frames differ by two segments or more: b (1 in all)",
        "warning: labelled anomalous, annotated without an anomalous span: a (1 in all)",
        "warning: labelled normal, annotated with an anomalous span: n (1 in all)",
    ]


def test_annotations_of_other_videos_are_refused(tmp_path):
    info, videos = videos_of(tmp_path, "a.npy,Abuse")
    with pytest.raises(UserError, match=r"none of its 1 videos \(z\) is in a list \(a, \.\.\.\)"):
        add_truth(videos, annotations({"z": ()}), info)
    with pytest.raises(UserError, match="no spans in it"):
        add_truth(videos, annotations({}), info)


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


def test_large_archives_are_hashed_by_path_and_size(tmp_path):
    small = save(tmp_path / "a.npy", np.ones(3))
    assert hash_files([small], tmp_path)["over"] == "path, size and content"
    large = tmp_path / "b.npy"
    with large.open("wb") as file:
        file.truncate(MAX_HASHED_BYTES)  # sparse: no disk, no time
    digest = hash_files([small, large], tmp_path)
    assert digest["over"] == "path and size"
    assert digest == hash_files([large, small], tmp_path)
    save(small, np.zeros(3))
    assert hash_files([small, large], tmp_path) == digest
    save(small, np.zeros(4))
    assert hash_files([small, large], tmp_path) != digest


def test_released_lists_and_annotations_become_a_data_set(shared_data, tmp_path):
    published = shared_data / "published"
    released = published / "nwpu-zxr+VadCLIP" / "list" / "ucf_CLIP_rgbtest.csv"
    with (shared_data / "derived" / "ucf_test_index.csv").open(newline="") as file:
        frames = {row["video"]: int(row["frames_raw"]) for row in csv.DictReader(file)}
    for _, listed, _ in read_rows(released):
        name = pathlib.PurePosixPath(listed)
        segments = frames[name.stem.removesuffix("__5")] // 16
        save(tmp_path / name.parent.name / name.name, np.ones((segments, 2), np.float16))
    truth = published / "henrryzh1+UR-DMU" / "list" / "UCF_Annotation.txt"
    info, videos = read_feature_lists(
        FeatureLists({"test": released}, tmp_path, "ucf", UCF_CRIME, annotations=truth)
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
