import collections
import json
import pathlib

import numpy as np
import pytest

from data_prep.catalogue.lookup import known_list, label_from_name
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.video_names import is_normal_label, match_key, parse_path
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.videos import Span
from data_prep.dataset.write import write_dataset
from data_prep.sources.released_lists import read_released_list
from data_prep.sources.releases import Release, read_release
from refinevad_jax.data.bags import read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
ABNORMAL = Taxonomy("two_classes", ("Abnormal",), ("Abnormal",))


@pytest.mark.parametrize(
    ("path", "video", "crop", "ending"),
    [
        ("G:\\UCF_Test_ten_crop_i3d\\Abuse028_x264_i3d.npy", "Abuse028_x264", None, "_i3d"),
        ("/a/b/v=x__#1_label_B1-0-0__5.npy", "v=x__#1_label_B1-0-0", 5, ""),
        ("audio/v=x__#1_label_A__vggish.npy", "v=x__#1_label_A", None, "__vggish"),
        ("test/Abuse028_x264.npy", "Abuse028_x264", None, ""),
        ("v=x__#1_label_G-0-0.mp4", "v=x__#1_label_G-0-0", None, ""),
        ("train/01_0014_3.npy", "01_0014", 3, ""),
        ("04_0012_1.avi", "04_0012_1", None, ""),
        ("/x/Fire_3_swin.npy", "Fire_3", None, "_swin"),
        ("single_gt/Abuse028_x264__9_gt.npy", "Abuse028_x264", 9, "_gt"),
    ],
)
def test_path_grammar(path, video, crop, ending):
    name = parse_path(path)
    assert (name.video_id, name.crop, name.ending) == (video, crop, ending)


@pytest.mark.parametrize(
    ("video", "label"),
    [
        ("Abuse028_x264", "Abuse"),
        ("RoadAccidents021", "RoadAccidents"),
        ("Normal_Videos_003_x264", "Normal"),
        ("Normal_Videos586_x264", "Normal"),
        ("Normal003", "Normal"),
        ("a__#1_label_B2-B6-G", "B2-B6-G"),
        ("a__#1_label_A", "A"),
        ("a_label_b__#1_label_G", "G"),
        ("01_0014", "Abnormal"),
        ("01_001", "Normal"),
        ("Object_falling_12", "Object_falling"),
        ("MSAD_normal_testing_7", "Normal"),
        ("01_Accident_006", "Accident"),
        ("Train016", "Normal"),
        ("my_own_video", None),
    ],
)
def test_label_from_name(video, label):
    assert label_from_name(video) == label


def test_one_key_for_all_spellings_of_a_ucf_name():
    spellings = ("Normal_Videos_003_x264", "Normal_Videos_003", "Normal003")
    assert {match_key(name) for name in spellings} == {"Normal003"}
    assert match_key("Abuse028_x264") == match_key("Abuse028") == "Abuse028"
    assert match_key("own_video") == "own_video"


@pytest.mark.parametrize(
    ("file", "rows", "videos", "first", "label"),
    [
        ("nwpu-zxr+VadCLIP/list/ucf_CLIP_rgb.csv", 40, 4, "Abuse001_x264", "Abuse"),
        ("nwpu-zxr+VadCLIP/list/ucf_CLIP_rgbtest.csv", 6, 6, "Abuse028_x264", "Abuse"),
        ("lessiYin+DSANet/list/ucf_CLIP_rgbtest.csv", 6, 6, "Abuse028_x264", "Abuse"),
        (
            "nwpu-zxr+VadCLIP/list/xd_CLIP_rgbtest.csv",
            5,
            5,
            "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6",
            "G-B2-B6",
        ),
        ("henrryzh1+UR-DMU/list/UCF_Test.list", 60, 6, "Abuse028_x264", "Abuse"),
        ("yujiangpu20+PEL4VAD/list/ucf/test.list", 60, 6, "Abuse028_x264", "Abuse"),
        ("yujiangpu20+PEL4VAD/list/sh/train.list", 30, 3, "01_0014", "Abnormal"),
        ("yujiangpu20+PEL4VAD/list/sh/test.list", 40, 4, "01_0015", "Abnormal"),
        (
            "pipixin321+GlanceVAD/data/ucf-crime/ucf-crime.testing.csv",
            6,
            6,
            "Abuse028_x264",
            "Abuse",
        ),
        ("ekosman+AnomalyDetectionCVPR2018-Pytorch/Train_Annotation.txt", 4, 4, None, None),
        (
            "Kamino666+LaGoVAD-PreVAD/data/other_datasets/ucf_test_anno.json",
            6,
            6,
            "Abuse028_x264",
            "Abuse",
        ),
    ],
)
def test_list_grammars(file, rows, videos, first, label):
    released = read_released_list(FIXTURES / file)
    assert (len(released.entries), len(released.videos)) == (rows, videos)
    if first:
        assert next(iter(released.videos)) == first
        assert released.labels[first] == label


def test_windows_paths_and_line_ends(tmp_path):
    path = tmp_path / "ucf-i3d-test.list"
    path.write_bytes(
        b"\xef\xbb\xbfG:\\UCF\\Abuse028_x264_i3d.npy\r\n\r\nG:\\N\\Normal_Videos_003_x264_i3d.npy"
    )
    released = read_released_list(path)
    assert released.labels == {"Abuse028_x264": "Abuse", "Normal_Videos_003_x264": "Normal"}
    assert released.entries[1].line == 3


def test_other_list_grammars(tmp_path):
    def labels(text):
        (tmp_path / "list").write_text(text)
        return read_released_list(tmp_path / "list").labels

    assert labels("01_001,0,764\n01_0015,1,-1\n") == {"01_001": "Normal", "01_0015": "Abnormal"}
    assert labels("frames/Abuse/Abuse001_x264.mp4 0 2728 1\n") == {"Abuse001_x264": "Abuse"}
    assert labels("Abuse/Abuse001_x264 0 2727 0 3\n") == {"Abuse001_x264": "Abuse"}
    assert labels("x/CLE@GSW__#00-44-20_label_A\nb__#1_label_G\n") == {
        "CLE@GSW__#00-44-20_label_A": "A",
        "b__#1_label_G": "G",
    }
    # A label column wins over the name, and position never counts.
    assert labels("path,label\nx/own__1.npy,Theft\nx/other__1.npy,Normal\n") == {
        "own": "Theft",
        "other": "Normal",
    }
    assert labels("own\n") == {"own": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("path,label\n", "no video"),
        ("path,label\na.npy\n", "line 2: 'a.npy' is not 'path,label'"),
        ('path,label\n"a.npy,Abuse\n', "line 2"),
        ("path,label\n/,Abuse\n", "line 2: '/' names no video"),
        ("id,name\n0,Abuse\n", "line 1"),
        ("one two three\n", "line 1"),
    ],
)
def test_bad_lists_are_refused_by_line(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_released_list(path)
    assert str(path) in str(caught.value)


# Counts of docs/protocols.md, section 1.
UCF_TRAIN = {
    "Abuse": 48,
    "Arrest": 45,
    "Arson": 41,
    "Assault": 47,
    "Burglary": 87,
    "Explosion": 29,
    "Fighting": 45,
    "RoadAccidents": 127,
    "Robbery": 145,
    "Shooting": 27,
    "Shoplifting": 29,
    "Stealing": 95,
    "Vandalism": 45,
    "Normal": 800,
}
UCF_TEST = dict(zip(UCF_TRAIN, (2, 5, 9, 3, 13, 21, 5, 23, 5, 23, 21, 5, 5, 150), strict=True))


def test_vadclip_lists_have_the_published_counts(shared_data):
    folder = shared_data / "published/nwpu-zxr+VadCLIP/list"

    def counts(name):
        return collections.Counter(read_released_list(folder / name).labels.values())

    assert counts("ucf_CLIP_rgb.csv") == UCF_TRAIN
    assert counts("ucf_CLIP_rgbtest.csv") == UCF_TEST
    for name, videos, normal, strings, several in (
        ("xd_CLIP_rgb.csv", 3954, 2049, 46, 243),
        ("xd_CLIP_rgbtest.csv", 800, 300, 22, 47),
    ):
        found = counts(name)
        assert (found.total(), found["A"], len(found)) == (videos, normal, strings)
        assert sum(n for label, n in found.items() if XD_VIOLENCE.multi_hot(label).sum() > 1) == (
            several
        )
    assert counts("xd_CLIP_rgb.csv")["G"] == counts("xd_CLIP_rgb.csv")["B1"] == 1


@pytest.mark.parametrize(
    ("files", "members", "anomalous"),
    [
        (
            [
                "nwpu-zxr+VadCLIP/list/ucf_CLIP_rgb.csv",
                "Roc-Ng+DeepMIL/list/ucf-c3d.list",
                "pipixin321+GlanceVAD/data/ucf-crime/ucf-crime.training.csv",
                "ekosman+AnomalyDetectionCVPR2018-Pytorch/Train_Annotation.txt",
                "ktr-hubrt+UMIL/labels/UCF_train.txt",
                "zuble+uws4vad/data/gt/ucf_flist_train.txt",
            ],
            1610,
            810,
        ),
        (
            [
                "lessiYin+DSANet/list/ucf_CLIP_rgbtest.csv",
                "henrryzh1+UR-DMU/list/UCF_Test.list",
                "yujiangpu20+PEL4VAD/list/ucf/test.list",
                "tianyu0207+RTFM/list/ucf-i3d-test.list",
                "Tom-roujiang+MSAD/MGFN/data/ucf_tencrop_1d/ucf-i3d-test.list",
                "louisYen+S3R/data/ucf-crime/ucf-crime.testing.csv",
                "EavnJeong+IEF-VAD/list/ucf/rgb/vitl/test.csv",
                "fjchange+MIST_VAD/data/Temporal_Anomaly_Annotation_New.txt",
                "Kamino666+LaGoVAD-PreVAD/data/other_datasets/ucf_test_anno.json",
            ],
            290,
            140,
        ),
        (
            [
                "nwpu-zxr+VadCLIP/list/xd_CLIP_rgb.csv",
                "Roc-Ng+XDVioDet/list/audio.list",
                "pipixin321+GlanceVAD/data/xd-violence/xd-violence.training.csv",
                "zuble+uws4vad/data/gt/xdv_flist_train.txt",
            ],
            3954,
            1905,
        ),
        (
            [
                "Roc-Ng+XDVioDet/list/rgb_test.list",
                "Roc-Ng+XDVioDet/list/audio_test.list",
                "henrryzh1+UR-DMU/list/XD_Test.list",
                "yujiangpu20+PEL4VAD/list/xd/test.list",
                "pipixin321+GlanceVAD/data/xd-violence/xd-violence.testing.csv",
                "Kamino666+LaGoVAD-PreVAD/data/other_datasets/xd_test_anno.json",
            ],
            800,
            500,
        ),
        (
            [
                "tianyu0207+RTFM/list/SH_Train.txt",
                "tianyu0207+RTFM/list/shanghai-i3d-train-10crop.list",
                "yujiangpu20+PEL4VAD/list/sh/train.list",
                "fjchange+MIST_VAD/data/SH_Train_new.txt",
            ],
            238,
            63,
        ),
        (
            [
                "tianyu0207+RTFM/list/SH_Test.txt",
                "yujiangpu20+PEL4VAD/list/sh/test.list",
                "fjchange+MIST_VAD/data/SH_Test_NEW.txt",
                "louisYen+S3R/data/shanghaitech/shanghaitech.testing.csv",
            ],
            199,
            44,
        ),
        (["Tom-roujiang+MSAD/RTFM/list/msad-i3d.list"], 480, 120),
        (["Tom-roujiang+MSAD/RTFM/list/msad-swin-test.list"], 240, 120),
        (["ktr-hubrt+UMIL/labels/TAD_test.txt"], 100, 60),
        (["ktr-hubrt+UMIL/labels/TAD_train.txt"], 400, 190),
    ],
)
def test_every_repository_lists_the_same_videos(shared_data, files, members, anomalous):
    for file in files:
        released = read_released_list(shared_data / "published" / file)
        _, known = known_list(released.videos)
        assert len(released.videos) == known.num_videos == members
        labels = released.labels.values()
        assert sum(not is_normal_label(label) for label in labels) == anomalous, file


def save(folder: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, array)


def read_bags(tmp_path: pathlib.Path, lists: dict, features: dict, **options):
    options.setdefault("taxonomy", UCF_CRIME)
    info, videos = read_release(Release(lists, features, name="made", **options))
    write_dataset(str(tmp_path / "data"), info, videos)
    return info, {bag.video_id: bag for bag in read_split(str(tmp_path / "data"), "made", "test")}


def ramp(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(np.float32)


def test_crop_files_with_and_without_number(tmp_path):
    save(
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
    save(tmp_path / "f", {f"Abuse028_x264__{k}.npy": ramp(3, 4) + k for k in range(10)})
    (tmp_path / "test.csv").write_text("path,label\r\n/home/x/Abuse/Abuse028_x264__5.npy,Abuse\r\n")
    _, bags = read_bags(tmp_path, {"test": tmp_path / "test.csv"}, {"visual": tmp_path / "f"})
    np.testing.assert_array_equal(bags["Abuse028_x264"].features, ramp(3, 4)[None] + 5)


@pytest.mark.parametrize("axis", ["time_first", "crops_first"])
def test_crops_on_an_axis(tmp_path, axis):
    arrays = {"Abuse028_x264": ramp(5, 10, 4), "Normal_Videos_003_x264": ramp(7, 10, 4)}
    save(
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
    save(tmp_path / "rgb", {f"{video}__{k}.npy": ramp(6, 4) + k for k in range(5)})
    save(tmp_path / "audio", {f"{video}__vggish.npy": ramp(7, 3)})
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
    save(tmp_path / "audio", {f"{video}__vggish.npy": ramp(8, 3)})
    with pytest.raises(UserError, match=r"6 segments, .* has 8"):
        read_bags(
            tmp_path / "b",
            {"test": tmp_path / "rgb_test.list"},
            {"visual": tmp_path / "rgb", "audio": tmp_path / "audio"},
            taxonomy=XD_VIOLENCE,
        )


def test_flow_beside_rgb_needs_a_folder_of_its_own(tmp_path):
    video = "v=x__#1_label_G"
    save(tmp_path / "f", {f"RGB/{video}__0.npy": ramp(3, 4), f"Flow/{video}__0.npy": -ramp(3, 4)})
    (tmp_path / "t.list").write_text(f"/media/i3d/Flow/{video}__0.npy\n")
    _, bags = read_bags(
        tmp_path, {"test": tmp_path / "t.list"}, {"v": tmp_path / "f"}, taxonomy=XD_VIOLENCE
    )
    np.testing.assert_array_equal(bags[video].features[0], -ramp(3, 4))
    (tmp_path / "t.list").write_text(f"{video}__0.npy\n")
    with pytest.raises(UserError, match="folder of one encoder only"):
        read_release(
            Release(
                {"test": tmp_path / "t.list"},
                {"v": tmp_path / "f"},
                name="made",
                taxonomy=XD_VIOLENCE,
            )
        )


def test_names_without_a_label_need_a_column(tmp_path):
    save(tmp_path / "f", {"own.npy": ramp(3, 4)})
    (tmp_path / "t.list").write_text("own.npy\n")
    arguments = ({"test": tmp_path / "t.list"}, {"v": tmp_path / "f"})
    with pytest.raises(UserError, match=r"line 1: own has no label.*path,label"):
        read_release(Release(*arguments, name="made", taxonomy=ABNORMAL))
    (tmp_path / "t.list").write_text("path,label\nown.npy,Abnormal\n")
    info, videos = read_release(Release(*arguments, name="made", taxonomy=ABNORMAL))
    assert videos[0].label == "Abnormal" and videos[0].num_frames == 48
    assert json.dumps(info.provenance)


def test_same_file_name_in_two_folders_is_refused(tmp_path):
    save(tmp_path / "f", {"a/one.npy": ramp(3, 4), "b/one.npy": ramp(3, 4)})
    (tmp_path / "t.csv").write_text("path,label\na/one.npy,Normal\nb/one.npy,Normal\n")
    with pytest.raises(UserError, match="line 3: one stands twice with the same crop"):
        read_release(
            Release(
                {"test": tmp_path / "t.csv"},
                {"v": tmp_path / "f"},
                name="made",
                taxonomy=UCF_CRIME,
            )
        )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"other.npy": ramp(3, 4)}, "line 1: no file of Abuse028_x264 below"),
        ({"Abuse028_x264.npy": ramp(4)}, "expected numbers of shape"),
        ({"Abuse028_x264.npy": ramp(0, 4)}, "expected numbers of shape"),
        ({"Abuse028_x264.npy": np.array([["a"]])}, "expected numbers of shape"),
        (
            {"Abuse028_x264__0.npy": ramp(3, 4), "Abuse028_x264__1.npy": ramp(3, 5)},
            "D = 5, .* has 4",
        ),
    ],
)
def test_bad_feature_files_are_named(tmp_path, files, message):
    save(tmp_path / "f", files)
    (tmp_path / "t.list").write_text("Abuse028_x264\n")
    with pytest.raises(UserError, match=message):
        read_release(
            Release(
                {"test": tmp_path / "t.list"},
                {"v": tmp_path / "f"},
                name="made",
                taxonomy=UCF_CRIME,
            )
        )


def test_shares_need_frame_counts_outside_ucf(tmp_path):
    video = "own_a"
    save(tmp_path / "f", {f"{video}.npy": ramp(3, 4)})
    entry = {"path": f"{video}.npy", "class_name": "Abnormal", "anomaly_span": [[0.5, 1.0]]}
    (tmp_path / "anno.json").write_text(json.dumps([entry]))
    arguments = ({"test": tmp_path / "anno.json"}, {"v": tmp_path / "f"})
    options = {"name": "made", "taxonomy": ABNORMAL, "annotations": tmp_path / "anno.json"}
    with pytest.raises(UserError, match="number of frames is not known"):
        read_release(Release(*arguments, **options))
    (tmp_path / "n.txt").write_text(f"{video}@50\n")
    _, videos = read_release(Release(*arguments, **options, frame_counts=tmp_path / "n.txt"))
    assert videos[0].spans == (Span(25, 50, "Abnormal"),) and videos[0].num_frames == 50
