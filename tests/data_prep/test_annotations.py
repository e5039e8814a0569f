import csv
import json
import pathlib
import struct
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.record import to_span
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
VADCLIP = FIXTURES / "nwpu-zxr+VadCLIP" / "list"
EDITED = [
    "Arson010",
    "Arson016",
    "Assault011",
    "Burglary017",
    "Burglary018",
    "Burglary035",
    "Burglary076",
    "Burglary092",
    "Explosion020",
    "Explosion021",
    "Explosion039",
    "RoadAccidents022",
    "Shooting024",
    "Shooting043",
]


def read(folder: pathlib.Path, content: str, name: str = "truth.txt") -> Annotations:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_annotations(path)


def test_two_space_grammar():
    truth = read_annotations(VADCLIP / "Temporal_Anomaly_Annotation.txt")
    assert truth.spans == {
        "Abuse028_x264": (Span(165, 240, "Abuse"),),
        "Arson011_x264": (Span(150, 420, "Arson"), Span(680, 1267, "Arson")),
        "Burglary021_x264": (Span(60, 200, "Burglary"), Span(840, 1340, "Burglary")),
        "Shooting015_x264": (Span(855, 1715, "Shooting"),),
        "Normal_Videos_003_x264": (),
        "Normal_Videos_924_x264": (),
    }
    assert truth.labels["Arson011_x264"] == "Arson"
    assert truth.labels["Normal_Videos_003_x264"] == "Normal"


@pytest.mark.parametrize(
    "file",
    [
        "henrryzh1+UR-DMU/list/UCF_Annotation.txt",
        "ekosman+AnomalyDetectionCVPR2018-Pytorch/Test_Annotation.txt",
    ],
)
def test_grammar_with_frame_counts_agrees(file):
    truth = read_annotations(FIXTURES / file)
    assert truth.spans == read_annotations(VADCLIP / "Temporal_Anomaly_Annotation.txt").spans
    assert truth.num_frames["Abuse028_x264"] == 1412
    assert truth.num_frames["Arson011_x264"] == 1266  # its second span ends one frame later


def test_shares_of_the_video_become_the_same_spans():
    ratios = read_annotations(
        FIXTURES / "Kamino666+LaGoVAD-PreVAD/data/other_datasets/ucf_test_anno.json"
    )
    counts = read_annotations(FIXTURES / "henrryzh1+UR-DMU/list/UCF_Annotation.txt")
    assert ratios.unit == "ratio"
    assert list(ratios.spans) == ["Normal_Videos_003_x264", "Normal_Videos_924_x264"]
    resolved = ratios.in_frames(counts.num_frames)
    assert resolved.spans == counts.spans and not resolved.stretches
    with pytest.raises(UserError, match=r"Abuse028_x264.*frames is not known"):
        ratios.in_frames()


def test_xd_names_lose_their_suffix_and_spans_keep_the_category():
    plain = read_annotations(VADCLIP / "annotations.txt")
    classes = read_annotations(VADCLIP / "annotations_multiclasses.txt")
    explosion = "v=U6MC8JJJZSY__#1_label_G-0-0"
    assert plain.spans[explosion] == (Span(150, 779, "G"),) == classes.spans[explosion]
    several = "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6"
    assert plain.labels[several] == "G-B2-B6"
    assert plain.spans[several][0] == Span(157, 180, None)
    assert classes.spans[several][:2] == (Span(157, 180, "B2"), Span(185, 244, "G"))
    # Annotated as fighting though its label says riot.
    fight = "Ip.Man.2008__#01-40-37_01-42-07_label_B4-0-0"
    assert classes.spans[fight] == (Span(105, 1482, "B1"),)
    assert classes.labels[fight] == "B4-0-0"


def test_absent_video_is_normal_only_where_the_list_says_so():
    truth = read_annotations(VADCLIP / "annotations.txt")
    assert truth.spans_of("other_label_A", normal=True) == ()
    assert truth.spans_of("other_label_A") is None


def test_hivau_seconds_become_frames_and_normal_events_are_no_truth():
    truth = read_annotations(
        FIXTURES / "pipixin321+HolmesVAU/HIVAU-70k/raw_annotations/ucf_database_test.json"
    ).in_frames()
    assert truth.spans["Abuse028_x264"] == (Span(165, 240, "Abuse"),)
    assert truth.spans["Normal_Videos_003_x264"] == ()
    assert truth.num_frames["Abuse028_x264"] == 1412 and truth.fps["Abuse028_x264"] == 30


def test_frame_labels_per_video():
    truth = read_annotations(
        FIXTURES / "louisYen+S3R/data/shanghaitech/shanghaitech_ground_truth.testing.json"
    )
    assert truth.spans == {"01_0025": (Span(148, 203, "Abnormal"),), "13_006": ()}
    assert truth.frames_from_segments and truth.num_frames["13_006"] == 464


def test_points_are_no_spans():
    truth = read_annotations(
        FIXTURES / "pipixin321+GlanceVAD/data/ucf-crime/ucf_glance_annotations.csv"
    )
    assert truth.points["Abuse001_x264"] == (299, 1047, 1836, 2339) and not truth.spans


def test_activitynet_seconds_need_a_rate():
    truth = read_annotations(FIXTURES / "open-mmlab+mmaction2/tests/data/eval_localization/gt.json")
    first = truth.stretches["bYUmtLBL7W4"][0]
    assert (first.start, first.category) == (11.553655226209049, "Wakeboarding")
    assert truth.in_frames(fps=10).spans["bYUmtLBL7W4"][0] == Span(116, 571, "Wakeboarding")
    with pytest.raises(UserError, match="frames per second"):
        truth.in_frames()


def test_other_text_grammars(tmp_path):
    tabs = read(tmp_path, "Abuse028_x264.mp4\tAbuse\t165\t240\t-1\t-1\t1412\n")
    assert tabs.spans == {"Abuse028_x264": (Span(165, 240, "Abuse"),)}
    assert tabs.num_frames == {"Abuse028_x264": 1412}
    ids = read(
        tmp_path,
        "frames/Abuse/Abuse028_x264.mp4 1412 1 165 240 -1 -1\n"
        "frames/Normal/Normal_Videos_003_x264.mp4 2822 0 -1 -1 -1 -1\n",
    )
    assert ids.spans == {
        "Abuse028_x264": (Span(165, 240, "Abuse"),),
        "Normal_Videos_003_x264": (),
    }
    # The span of a normal video (class 0) is the whole of it.
    tad = read(
        tmp_path, "f/abnormal/01_Accident_006.mp4 266 1 75 110\nf/Normal_241.mp4 300 0 0 300"
    )
    assert tad.spans == {"01_Accident_006": (Span(75, 110, "Accident"),), "Normal_241": ()}
    scene = read(tmp_path, "Fire_3.mp4  office  20  200  -1  -1  \nFire_4.mp4  lobby  1  5  -1  -1")
    assert scene.labels == {"Fire_3": "Fire", "Fire_4": "Fire"}
    short = read(tmp_path, "Fire_3.mp4 office 20 200\nFire_4.mp4 lobby 1 5")
    assert short.spans["Fire_3"] == (Span(20, 200, "Fire"),)
    padded = read(tmp_path, "01_0028.avi car 86 90 330 330 -1 -1\n01_001.avi normal -1 -1")
    assert padded.spans == {"01_0028": (Span(86, 90, "car"),), "01_001": ()}
    assert padded.notes == ("1 empty spans left out, in 01_0028",)


def test_several_classes_may_come_first(tmp_path):
    (tmp_path / "relabel.list").write_text("01_0026 fighting,chasing\n01_0014 cycling\n")
    read = read_annotations(tmp_path / "relabel.list")
    assert read.labels == {"01_0026": "fighting,chasing", "01_0014": "cycling"}


def test_frame_counts_alone(tmp_path):
    assert read(tmp_path, "Abuse/Abuse001_x264.mp4 2729\n").num_frames == {"Abuse001_x264": 2729}
    assert read(tmp_path, "Normal003@2822\n").num_frames == {"Normal003": 2822}
    # UMIL gives the count, AnomalyCLIP the last index.
    assert read(tmp_path, "f/Abuse001_x264.mp4 0 2728 1\n").num_frames == {"Abuse001_x264": 2728}
    assert read(tmp_path, "Abuse/Abuse001_x264 0 2727 0\n").num_frames == {"Abuse001_x264": 2728}


def test_normal_video_of_unknown_spans_is_not_called_normal(tmp_path):
    truth = read(tmp_path, "a.mp4 Theft -1 -1\nb.mp4 Normal -1 -1\n")
    assert truth.spans == {"b": ()}


def test_json_spans_in_frames_and_in_seconds(tmp_path):
    frames = read(tmp_path, '{"a": [[3, 9]], "b": []}', "own.json")
    assert frames.spans == {"a": (Span(3, 9),), "b": ()}
    seconds = read(tmp_path, '{"a": [[3, 9]], "b": []}', "val_intervals_seconds.json")
    assert seconds.in_frames(fps=30).spans == {"a": (Span(90, 270),), "b": ()}


def test_the_last_unit_in_the_name_counts(tmp_path):
    content = '{"a": [[3.2, 9]]}'
    assert read(tmp_path, content, "seconds_intervals_frames.json").spans == {"a": (Span(3, 9),)}
    assert read(tmp_path, content, "frames_intervals_seconds.json").unit == "seconds"


@pytest.mark.parametrize(
    ("start", "end", "frames", "expected"),
    [
        (1.00, 1.01, 30, (30, 31)),  # shorter than a frame: one frame
        (0.41, 2.0, 30, (12, 60)),  # 12.3 down
        (0.31, 0.9, 30, (9, 27)),
        (0.02, 0.05, 30, (1, 2)),  # .6 up, 1.5 to the even frame
        (1.0, 1.0, 30, (30, 30)),  # empty stays empty
        (0.5, 1.0, 25, (12, 25)),  # 12.5 to the even frame
        (3, 9, 1, (3, 9)),
        (0.1168555, 0.1699716, 1412, (165, 240)),  # shares of Abuse028
    ],
)
def test_seconds_and_shares_become_the_nearest_frames(start, end, frames, expected):
    assert to_span(start, end, frames, "Abuse") == Span(*expected, "Abuse")


times = st.floats(0, 1e5)


@hypothesis.given(times, times, st.floats(0.1, 240))
def test_a_stretch_that_is_not_empty_never_vanishes(one, other, fps):
    start, end = sorted((one, other))
    span = to_span(start, end, fps)
    assert (span.start < span.end) == (start < end)
    assert abs(span.start - start * fps) <= 0.5
    assert abs(span.end - end * fps) <= 0.5 or span.end == span.start + 1


def test_every_grammar_rounds_alike(tmp_path):
    """Seconds 1.00 to 1.01 at 30 frames per second, and the same as shares of 30 seconds."""
    entry = {"n_frames": 900, "fps": 30, "label": ["x"], "events": [[1.0, 1.01]]}
    lagovad = [{"path": "a.npy", "class_name": "x", "anomaly_span": [[1 / 30, 1.01 / 30]]}]
    activitynet = {"a": {"annotations": [{"segment": [1.0, 1.01], "label": "x"}]}}
    for content in ({"a": [[1.0, 1.01]]}, {"a": entry}, lagovad, activitynet):
        truth = read(tmp_path, json.dumps(content), "truth.json").in_frames({"a": 900}, 30)
        assert [(span.start, span.end) for span in truth.spans["a"]] == [(30, 31)]


def test_masks_in_a_folder_and_packed(tmp_path):
    mask = np.array([0, 1, 1, 0, 1], np.uint8)
    np.save(tmp_path / "01_0014.npy", mask)
    expected = {"01_0014": (Span(1, 3, "Abnormal"), Span(4, 5, "Abnormal"))}
    assert read_annotations(tmp_path).spans == expected
    np.savez(tmp_path / "masks.npz", **{"01_0014": mask, "01_001": np.zeros(7)})
    assert read_annotations(tmp_path / "masks.npz").spans == expected | {"01_001": ()}


def mat_file(name: bytes, spans: list[int], event: bytes) -> bytes:
    """A MAT-file of level 5 with RTFM's struct, put together by hand."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(array_class: int, shape: tuple[int, ...], *parts: bytes, name: bytes = b"") -> bytes:
        flags = element(6, struct.pack("<II", array_class, 0))
        sizes = element(5, struct.pack(f"<{len(shape)}i", *shape))
        return element(14, flags + sizes + element(1, name) + b"".join(parts))

    columns = spans[::2] + spans[1::2]  # Matlab stores column by column
    fields = [
        matrix(4, (1, len(name)), element(16, name)),
        matrix(10, (len(spans) // 2, 2), element(3, struct.pack(f"<{len(columns)}h", *columns))),
        matrix(4, (1, len(event)), element(4, event.decode().encode("utf-16-le"))),
    ]
    names = b"".join(field.ljust(16, b"\0") for field in (b"VideoName", b"Anno", b"EventName"))
    record = matrix(
        2,
        (1, 1),
        struct.pack("<HHi", 5, 4, 16),  # a small element: four bytes within the tag
        element(1, names),
        *fields,
        name=b"Annotation_file",
    )
    packed = zlib.compress(record)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    return header + struct.pack("<II", 15, len(packed)) + packed


def test_mat_files(tmp_path):
    (tmp_path / "a.mat").write_bytes(mat_file(b"Arson011.mp4", [150, 420, 680, 1267], b"Arson"))
    (tmp_path / "b.mat").write_bytes(mat_file(b"Normal003.mp4", [-1, -1], b"Normal"))
    assert read_annotations(tmp_path).spans == {
        "Arson011": (Span(150, 420, "Arson"), Span(680, 1267, "Arson")),
        "Normal003": (),
    }
    good = (tmp_path / "a.mat").read_bytes()
    for damaged in (b"", good[:100], good[:150], good[:-9], good[:140] + b"xxxx" + good[144:]):
        (tmp_path / "a.mat").write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.mat"):
            read_annotations(tmp_path / "a.mat")


def test_a_concatenation_cannot_be_read_by_itself(tmp_path):
    np.save(tmp_path / "gt.npy", np.array([0.0, 1, 1, 1, 0]))
    with pytest.raises(UserError, match="a lone vector"):
        read_annotations(tmp_path / "gt.npy")


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "gt_label.npy", np.array([["A"], ["B1", "B2"]], dtype=object))
    with pytest.raises(UserError, match="object array"):
        read_annotations(tmp_path / "gt_label.npy")
    np.savez(tmp_path / "gt.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"gt\.npz"):
        read_annotations(tmp_path / "gt.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no video in it"),
        ("a.mp4 Theft 5 3\n", "line 1: span 5 3 of a"),
        ("a.mp4 Theft 5 9\na.mp4 Normal -1 -1\n", "line 2: a is normal here and has a span in"),
        ("a Theft 5 9\nb Theft 5 9\nc Theft 5\n", "line 3: does not fit .* as 2 of 3 lines do"),
        ("a Theft 5 99999999999\n", "line 1: span 5 99999999999 of a"),
        ("a Theft 5 9999999999\n", "line 1: span 5 9999999999 of a"),
        ("dir/Abuse028__0.npy\n", "line 1: names without times; give a list"),
        ("path,label\nx.npy,Abuse\n", "--list"),
        ('{"a": ', "line 1: not JSON"),
        ('{"a": 3}', "known JSON grammar"),
        ('{"a": [[3, "b"]]}', r"is not an event; write \[start, end, label\]"),
        ('{"a": [[3]]}', r"is not a list of \[start, end\]"),
        ('[{"path": "a.npy", "anomaly_span": []}]', "KeyError: 'class_name'"),
        ('{"a": {"num_frames": 3, "labels": [0, 1]}}', "2 labels for num_frames 3"),
        ('{"a": {"num_frames": 2, "labels": [0, 2]}}', "one 0 or 1 per frame"),
        ("video-id,glance\na,x\n", "line 2"),
        (
            '{"a": {"duration_second": 1e-320, "duration_frame": 9, "annotations": []}}',
            "a: a duration of 1e-320 seconds",
        ),
        (
            '{"a": {"duration_second": -3.0, "duration_frame": 9, "annotations": []}}',
            "a: a duration of -3.0 seconds",
        ),
    ],
)
def test_bad_files_end_in_one_line_that_names_them(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "truth.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.txt: cannot be read"):
        read_annotations(tmp_path / "nowhere.txt")


def differing(first: Annotations, second: Annotations) -> list[str]:
    return sorted(
        video.removesuffix("_x264")
        for video in second.spans
        if [(s.start, s.end) for s in first.spans[video]]
        != [(s.start, s.end) for s in second.spans[video]]
    )


@pytest.fixture(scope="module")
def official(shared_data) -> Annotations:
    return read_annotations(
        shared_data
        / "published/WaqasSultani+AnomalyDetectionCVPR2018/Temporal_Anomaly_Annotation.txt"
    )


@pytest.mark.parametrize(
    "file",
    [
        "nwpu-zxr+VadCLIP/list/Temporal_Anomaly_Annotation.txt",
        "EavnJeong+IEF-VAD/list/ucf_annotations.txt",
        "henrryzh1+UR-DMU/list/UCF_Annotation.txt",
        "ekosman+AnomalyDetectionCVPR2018-Pytorch/Test_Annotation.txt",
        "fjchange+MIST_VAD/data/Temporal_Anomaly_Annotation_New.txt",
        "Kamino666+LaGoVAD-PreVAD/data/other_datasets/ucf_test_anno.json",
    ],
)
def test_agreeing_ucf_files_give_identical_spans(shared_data, official, file):
    counts = read_annotations(shared_data / "published/henrryzh1+UR-DMU/list/UCF_Annotation.txt")
    truth = read_annotations(shared_data / "published" / file).in_frames(counts.num_frames)
    assert len(truth.spans) == 290
    assert sum(bool(spans) for spans in truth.spans.values()) == 140
    assert truth.spans == official.spans


def test_uws4vad_and_mat_files_agree(shared_data, official):
    short = read_annotations(shared_data / "published/zuble+uws4vad/data/gt/ucf.txt")
    assert len(short.spans) == 140
    for video, spans in official.spans.items():
        assert short.spans_of(video, normal=not spans) == spans
    mat = read_annotations(shared_data / "published/tianyu0207+RTFM/list/Matlab_formate")
    assert len(mat.spans) == 8
    assert all(official.spans[video] == spans for video, spans in mat.spans.items())


@pytest.mark.parametrize(
    "file", ["ktr-hubrt+UMIL/labels/UCF_test.txt", "vera-framework+VERA/Data/UCF_Eval.json"]
)
def test_edited_ucf_files_differ_in_fourteen_videos(shared_data, official, file):
    assert differing(official, read_annotations(shared_data / "published" / file)) == EDITED


def test_hivau_events_are_not_the_official_spans(shared_data, official):
    path = shared_data / "published/pipixin321+HolmesVAU/HIVAU-70k/raw_annotations"
    hivau = read_annotations(path / "ucf_database_test.json").in_frames()
    assert len(hivau.spans) == 251
    different = differing(official, hivau)
    assert len(different) == 12
    # Described events of normal videos would make it 135.
    raw = json.loads((path / "ucf_database_test.json").read_text())
    assert sum(bool(entry["events"] and not entry["label"]) for entry in raw.values()) == 123


def test_xd_files_agree(shared_data):
    base = shared_data / "published"
    plain = read_annotations(base / "nwpu-zxr+VadCLIP/list/annotations.txt")
    with (shared_data / "derived/xd_test_index.csv").open() as file:
        counts = {row["video"]: int(row["frames_raw"]) for row in csv.DictReader(file)}
    for name in (
        "henrryzh1+UR-DMU/list/XD_Annotation.txt",
        "zuble+uws4vad/data/gt/xdv.txt",
    ):
        assert read_annotations(base / name).spans == plain.spans
    lagovad = read_annotations(
        base / "Kamino666+LaGoVAD-PreVAD/data/other_datasets/xd_test_anno.json"
    ).in_frames(counts)
    assert len(lagovad.spans) == 800
    for video, spans in lagovad.spans.items():
        assert plain.spans_of(video, normal=True) == spans
    assert read_annotations(base / "zuble+uws4vad/data/gt/xdv_tframes.txt").num_frames == counts
    assert sum(counts.values()) == 2_335_801
    ief = read_annotations(base / "EavnJeong+IEF-VAD/list/xd_annotation.txt")
    assert len(ief.spans) == 753
    assert all(plain.spans_of(video, normal=True) == spans for video, spans in ief.spans.items())


def test_multiclass_union_differs_in_five_videos(shared_data):
    base = shared_data / "published/nwpu-zxr+VadCLIP/list"
    plain, classes = (
        read_annotations(base / name)
        for name in ("annotations.txt", "annotations_multiclasses.txt")
    )
    different = []
    for video, spans in plain.spans.items():
        union = {f for span in classes.spans[video] for f in range(span.start, span.end)}
        if union != {f for span in spans for f in range(span.start, span.end)}:
            different.append(video.split("__")[0] + "__" + video.split("__")[1][:9])
    assert sorted(name[:10] for name in different) == [
        "Love.Death",
        "Rush.Hour.",
        "The.Bourne",
        "v=38GQ9L2m",
        "v=Rc9EOFjt",
    ]
    categories = [span.category for spans in classes.spans.values() for span in spans]
    assert {name: categories.count(name) for name in sorted(set(categories))} == {
        "B1": 245,
        "B2": 214,
        "B4": 154,
        "B5": 15,
        "B6": 494,
        "G": 150,
    }


def test_vadclip_segments_are_the_triples_in_file_order(shared_data):
    triples = read_annotations(
        shared_data / "published/nwpu-zxr+VadCLIP/list/annotations_multiclasses.txt"
    )
    segments = read_annotations(shared_data / "derived/vadclip_gt_xd.json")
    assert len(segments.spans) == 800
    for video, spans in segments.spans.items():
        assert triples.spans_of(video, normal="_label_A" in video) == spans
    raw = json.loads((shared_data / "derived/vadclip_gt_xd.json").read_text())
    assert [entry["video"] for entry in raw] == list(segments.spans)


def test_vera_calls_fourteen_anomalous_xd_videos_normal(shared_data):
    base = shared_data / "published"
    plain = read_annotations(base / "nwpu-zxr+VadCLIP/list/annotations.txt")
    vera = read_annotations(base / "vera-framework+VERA/Data/xd_test_800.json")
    lost = [video for video, spans in plain.spans.items() if vera.spans[video] != spans]
    assert len(lost) == 14 and not any(vera.spans[video] for video in lost)
    twins = read_annotations(base / "vera-framework+VERA/Data/xd_annotations.json")
    assert all(twins.spans[video] == spans for video, spans in plain.spans.items())
