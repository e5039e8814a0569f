import collections
import pathlib

import pytest

from data_prep.catalogue.lookup import known_list
from data_prep.catalogue.video_names import is_normal_label
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.sources.lists import read_list, read_lists
from refinevad_jax.errors import UserError

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"


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
    released = read_list(FIXTURES / file)
    assert (len(released.entries), len(released.videos)) == (rows, videos)
    if first:
        assert next(iter(released.videos)) == first
        assert released.labels[first] == label


def test_windows_paths_and_line_ends(tmp_path):
    path = tmp_path / "ucf-i3d-test.list"
    path.write_bytes(
        b"\xef\xbb\xbfG:\\UCF\\Abuse028_x264_i3d.npy\r\n\r\nG:\\N\\Normal_Videos_003_x264_i3d.npy"
    )
    released = read_list(path)
    assert released.labels == {"Abuse028_x264": "Abuse", "Normal_Videos_003_x264": "Normal"}
    assert released.entries[1].line == 3


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\r\na.npy,Abuse\r\n\r\nb.npy,Normal\r\n",
        b"a.npy,Abuse\nb.npy,Normal",
        b"\xef\xbb\xbfPath,Label\na.npy, Abuse\n\n  \nb.npy ,Normal\n",
        b'path,label\n"a.npy","Abuse"\n,\nb.npy,Normal\n',
        b'"path","label"\r\n"a.npy","Abuse"\r\n"b.npy","Normal"',
        b"path;label\na.npy;Abuse\n;\nb.npy;Normal\n",
        b'\xef\xbb\xbf"a.npy";"Abuse"\n"b.npy";"Normal"\n',
        b"# mine\npath,label,frames\na.npy,Abuse,80\nb.npy,Normal,96\n",
    ],
)
def test_rows_in_every_spelling_of_csv(content, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    rows = read_list(tmp_path / "list.csv").entries
    assert [(row.path, row.label) for row in rows] == [("a.npy", "Abuse"), ("b.npy", "Normal")]


@pytest.mark.parametrize(
    "content",
    [
        "sub/my clip.mp4\nother, two.webm\n",
        'path\r\nsub/my clip.mp4\r\n\r\n"other, two.webm"',
        '# clips\npath,label\nsub/my clip.mp4,Fight\n"other, two.webm",Normal\n',
        '"path";"label"\nsub/my clip.mp4;Fight\nother, two.webm;Normal\n',
    ],
)
def test_lists_of_videos(content, tmp_path):
    (tmp_path / "videos.txt").write_bytes(content.encode())
    entries = read_list(tmp_path / "videos.txt").entries
    assert [entry.path for entry in entries] == ["sub/my clip.mp4", "other, two.webm"]


def test_other_list_grammars(tmp_path):
    def labels(text):
        (tmp_path / "list").write_text(text)
        return read_list(tmp_path / "list").labels

    assert labels("01_001,0,764\n01_0015,1,-1\n") == {"01_001": "Normal", "01_0015": "Abnormal"}
    assert labels("frames/Abuse/Abuse001_x264.mp4 0 2728 1\n") == {"Abuse001_x264": "Abuse"}
    assert labels("Abuse/Abuse001_x264 0 2727 0 3\n") == {"Abuse001_x264": "Abuse"}
    assert labels("x/CLE@GSW__#00-44-20_label_A\nb__#1_label_G\n") == {
        "CLE@GSW__#00-44-20_label_A": "A",
        "b__#1_label_G": "G",
    }
    # A label column wins over the name, and position never counts.
    assert labels("path,label\nx/own__0.npy,Theft\nx/other__0.npy,Normal\n") == {
        "own": "Theft",
        "other": "Normal",
    }
    assert labels("own\n") == {"own": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lists no video"),
        ("path,label\n", "lists no video"),
        ("path,label\na.npy\n", r"\.csv:2: 'a.npy' is not 'path,label'"),
        ('path,label\n"a.npy,Abuse\n', r"\.csv:2: not a CSV row"),
        ("path,label\n/,Abuse\n", r"\.csv:2: '/' names no video"),
        ("id,name\n0,Abuse\n", "line 1"),
        ("one two three\n", "line 1"),
    ],
)
def test_bad_lists_are_refused_by_line(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_list(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.npy,Abuse\nb.npy\n", r"list\.csv:2: 'b.npy' is not 'path,label'"),
        (b"a.npy,Abuse\nb.npy,\n", r"list\.csv:2: 'b.npy,' is not 'path,label'"),
        (b"a.npy,Abuse,3\n", "is not 'path,label'"),
        (b"a,Abuse\n", "begin with a header path,label"),
        (b"\x93NUMPY\x01\x00", r"it is a NumPy array \(\.npy\), not a text file"),
        (b'"a.npy,Abuse\n', r"list\.csv:1: not a CSV row"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(content, message, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_list(tmp_path / "list.csv")


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: cannot be read \(No such file"):
        read_list(tmp_path / "none.csv")
    (tmp_path / "train.csv").write_text("path,label\n")
    with pytest.raises(UserError, match=r"train\.csv: lists no video"):
        read_list(tmp_path / "train.csv")


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
        return collections.Counter(read_list(folder / name).labels.values())

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
        if name == "xd_CLIP_rgb.csv":
            assert found["G"] == found["B1"] == 1


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
        released = read_list(shared_data / "published" / file)
        _, known = known_list(released.videos)
        assert len(released.videos) == known.num_videos == members
        labels = released.labels.values()
        assert sum(not is_normal_label(label) for label in labels) == anomalous, file


def test_a_list_of_videos_serves_extraction_and_packaging(tmp_path):
    path = tmp_path / "videos.csv"
    path.write_text(
        "video,label\nclips/cam__1.mp4,Fight\nclips/cam__2.MP4,Normal\nx_i3d.avi,Fall\n"
    )
    read = read_list(path)
    assert read.grammar == "CSV video,label"
    assert [(entry.video_id, entry.crop, entry.label) for entry in read.entries] == [
        ("cam__1", None, "Fight"),  # a video file has no crops and no encoder
        ("cam__2", None, "Normal"),
        ("x_i3d", None, "Fall"),
    ]


def test_both_test_splits_of_msad_are_known(shared_data):
    folder = shared_data / "published/Tom-roujiang+MSAD/RTFM/list"
    train, test = (read_list(folder / f"msad-i3d{end}.list") for end in ("", "-test"))
    anomalous = [video for video, label in train.labels.items() if not is_normal_label(label)]
    _, known = known_list([*test.videos, *anomalous])
    assert (known.split, known.num_videos) == ("test_protocol_i", 360)
    assert "120 of its anomalous videos are in the training list" in known.note
    assert known_list(test.videos)[1].split == "test"


def test_a_number_sign_is_a_comment_only_before_a_blank(tmp_path):
    path = tmp_path / "videos.txt"
    path.write_text("# of the gate, see notes.txt\n#1.mp4\n#cam 3.avi\n# old.mp4\n#\n2.mp4\n")
    read = read_list(path)
    assert list(read.videos) == ["#1", "#cam 3", "2"]
    assert read.notes == ("line 4 is a comment, not a video: # old.mp4",)


def test_lists_of_one_data_set_name_their_videos_together(tmp_path):
    for name, row in (("train", "fight/1.mp4,Fight"), ("test", "normal/1.mp4,Normal")):
        (tmp_path / f"{name}.csv").write_text(f"path,label\n{row}\n")
    train, test = read_lists([tmp_path / "train.csv", tmp_path / "test.csv"])
    assert [*train.videos, *test.videos] == ["fight/1", "normal/1"]
    assert test.paths == {"normal/1": "normal/1"} and [
        *read_list(tmp_path / "test.csv").videos
    ] == ["1"]


def test_own_names_that_look_like_a_data_set_state_no_label(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("12_0405_1.npy\n12_0405_2.npy\ngate.npy\n")
    assert set(read_list(path).labels.values()) == {None}
    path.write_text("".join(f"own__{k}.npy,Fight\n" for k in range(4)))
    assert len(read_list(path).videos) == 4 and read_list(path).notes == ()
    path.write_text("".join(f"own__{k}.npy,Fight\n" for k in range(5)))
    read = read_list(path)
    assert read.crops == {"own": (0, 1, 2, 3, 4)}
    assert read.notes == ("5 files, own__0.npy the first, are read as crops 0 to 4 of 1 videos",)
