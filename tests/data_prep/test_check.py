import json
import pathlib
import subprocess
from collections.abc import Sequence

import numpy as np
import pytest

from data_prep.annotations import read_annotations
from data_prep.annotations.truths import official
from data_prep.checks.findings import Section, num_problems, render, to_dict
from data_prep.checks.run import run_checks
from data_prep.checks.truth import count_frames
from data_prep.dataset.videos import Span
from refinevad_jax.metrics.truth import frame_truth
from tests.conftest import call

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
OFFICIAL = official("UCF-Crime")


def found(sections: list[Section]) -> dict[str, tuple[str, ...]]:
    return {f.kind: f.videos for section in sections for f in section.findings if f.problem}


def facts(section: Section) -> dict[str, str]:
    return dict(section.facts)


def write_list(folder: pathlib.Path, videos: list[str], name: str = "test.list") -> pathlib.Path:
    path = folder / name
    path.write_text("".join(f"x/{video}__5.npy\n" for video in videos))
    return path


def vector_of(spans: Sequence[Span], num_frames: int) -> np.ndarray:
    return frame_truth(np.array([(s.start, s.end) for s in spans]), num_frames).astype(np.uint8)


def gt_vector(videos: list[str], *, end: int = 0) -> np.ndarray:
    """The official truth of UCF-Crime under floor(n/16)."""
    return np.concatenate(
        [
            vector_of(
                [Span(s.start, s.end + end) for s in OFFICIAL.spans[video]],
                OFFICIAL.num_frames[video] // 16 * 16,
            )
            for video in videos
        ]
    )


# --- lists --------------------------------------------------------------------------------------


def test_complete_list_is_clean_and_named(tmp_path):
    (section,) = run_checks(lists=[write_list(tmp_path, list(OFFICIAL.video_ids))])
    assert facts(section)["release"] == "UCF-Crime test, the 290 videos"
    assert facts(section)["order"].startswith("VadCLIP, DSANet, UR-DMU")
    assert not section.findings
    assert ("RoadAccidents", "23") in section.tables[0].rows


def test_list_faults_are_named_by_video(tmp_path):
    videos = list(OFFICIAL.video_ids)
    path = write_list(tmp_path, [*videos[1:], "Abuse999_x264", videos[5]])
    problems = found(run_checks(lists=[path]))
    assert problems["missing videos"] == ("Abuse028_x264",)
    assert problems["extra videos"] == ("Abuse999_x264",)
    assert problems["rows twice"] == (f"{path}:291: video {videos[5]}, crop 5 appears twice",)
    path = tmp_path / "own.csv"
    rows = [("Abuse028_x264__0", "Arrest"), ("Arson002_x264__0", "Arson"), ("Arson002_x264__1", "")]
    path.write_text("".join(["path,label\n", *(f"{a}.npy,{b or 'Fire'}\n" for a, b in rows)]))
    problems = found(run_checks(lists=[path]))
    assert problems["label against name"] == (f"{path}:2: video Abuse028_x264 is labelled Arrest",)
    assert problems["labels differ"] == (
        f"{path}:4: video Arson002_x264 is 'Fire' here, 'Arson' in line 3",
    )
    assert problems["crops"] == ("Arson002_x264: crops 0, 1",)
    path.write_text("own__0.npy\n")
    assert found(run_checks(lists=[path]))["no label"] == (
        f"{path}:1: video own has no label, and its name states none",
    )


def test_video_in_two_lists(tmp_path):
    lists = [write_list(tmp_path, ["Abuse028_x264"], name) for name in ("a.list", "b.list")]
    assert "videos in two lists" in found(run_checks(lists=lists))


def test_list_without_the_multi_label_videos(shared_data):
    path = shared_data / "published/EavnJeong+IEF-VAD/list/xd/rgb/vitl/test.csv"
    (finding,) = [f for f in run_checks(lists=[path])[0].findings if f.problem]
    assert "lacks the 47 videos with several labels" in finding.message


# --- length rules -------------------------------------------------------------------------------


def test_published_lengths_and_positives(shared_data):
    counts = read_annotations(shared_data / "published/zuble+uws4vad/data/gt/xdv_tframes.txt")
    rows = {
        ("UCF-Crime", rule): (frames, positives)
        for rule, _, frames, positives in count_frames(
            OFFICIAL.num_frames, OFFICIAL.spans, data_set="UCF-Crime"
        )
    } | {
        ("XD-Violence", rule): (frames, positives)
        for rule, _, frames, positives in count_frames(
            counts.num_frames, official("XD-Violence").spans, data_set="XD-Violence"
        )
    }
    ucf, xd = "UCF-Crime", "XD-Violence"
    assert rows[ucf, "n, raw frames"][0] == 1_111_808
    assert rows[ucf, "ceil(n/16)"][0] == 1_114_144
    assert rows[ucf, "floor(n/16)"][0] == 1_109_824
    assert rows[ucf, "floor(n/16), 9 videos less 1"] == (1_109_680, 84_128)
    assert rows[ucf, "floor(n/16), 3 normals plus 1"] == (1_109_872, 84_160)
    assert rows[xd, "n, raw frames"][0] == 2_335_801
    assert rows[xd, "floor(n/16)"][0] == 2_331_248
    assert rows[xd, "(n-1)//16"] == (2_330_384, 537_805)
    assert rows[xd, "floor(n/16), 3 normals plus 1"][0] == 2_331_296


def test_positives_of_vadclip_on_xd_are_those_of_the_spans_by_class(shared_data):
    base = shared_data / "published"
    counts = read_annotations(base / "zuble+uws4vad/data/gt/xdv_tframes.txt").num_frames
    classes = read_annotations(base / "nwpu-zxr+VadCLIP/list/annotations_multiclasses.txt")
    positives = [
        count_frames(counts, spans, data_set="XD-Violence")[-1][-1]
        for spans in (classes.spans, official("XD-Violence").spans)
    ]
    assert positives == [538_007, 537_882]


def test_spans_give_the_vectors_that_pel4vad_ships(shared_data):
    for data_set, file, suffix in (
        ("ucf", "list/ucf/single_gt.repacked.npz", ""),
        ("xd", "list/xd/xd-gt.repacked.npz", "__0.npy"),
    ):
        truth = official({"ucf": "UCF-Crime", "xd": "XD-Violence"}[data_set])
        with np.load(shared_data / "published/yujiangpu20+PEL4VAD" / file) as vectors:
            assert len(vectors.files) == len(truth.spans)
            for video, spans in truth.spans.items():
                shipped = vectors[video + suffix]
                np.testing.assert_array_equal(vector_of(spans, len(shipped)), shipped)


# --- annotations --------------------------------------------------------------------------------


def test_edited_span_is_named_with_the_official_one(tmp_path):
    path = tmp_path / "truth.txt"
    path.write_text("Abuse028_x264 Abuse 165 260\nArrest001_x264 Arrest 1185 1485\n")
    sections = run_checks(annotations=[path])
    assert facts(sections[0])["truth"] == "unknown"
    assert found(sections)["not the official truth"] == (
        "Abuse028_x264: official 165-240, here 165-260",
    )
    path.write_text("Abuse028_x264 Abuse 165 240\nArrest001_x264 Arrest 1185 1485\n")
    (section,) = run_checks(annotations=[path])
    assert facts(section)["truth"] == "official (UCF-Crime), 2 of 290 videos"
    assert not num_problems([section])


def test_truth_against_list(tmp_path):
    (tmp_path / "l.csv").write_text(
        "path,label\na.npy,Theft\nb.npy,Normal\nc.npy,Theft\nd.npy,Theft\ne.npy,Normal\n"
    )
    (tmp_path / "t.json").write_text(json.dumps({"a": [], "b": [[0, 5]], "c": [[1, 9]], "z": []}))
    problems = found(run_checks(lists=[tmp_path / "l.csv"], annotations=[tmp_path / "t.json"]))
    assert problems["missing videos"] == ("d",)
    assert problems["extra videos"] == ("z",)
    assert problems["anomalous without span"] == ("a: label Theft",)
    assert problems["normal with span"] == ("b: label Normal",)


def test_spans_past_the_end(tmp_path):
    path = tmp_path / "truth.txt"
    path.write_text("a.mp4 100 Theft 50 102\nb.mp4 100 Theft 50 180\n")
    (section,) = run_checks(annotations=[path])
    assert found([section]) == {
        "spans past the end": ("b: frames 50 to 180, the video has 100 frames",)
    }
    remarks = [f.videos for f in section.findings if not f.problem and f.videos]
    assert remarks == [("a: frames 50 to 102, the video has 100 frames",)]


# --- ground-truth arrays ------------------------------------------------------------------------


def check_array(folder: pathlib.Path, vector: np.ndarray, videos: list[str]) -> list[Section]:
    np.save(folder / "gt.npy", vector)
    return run_checks(lists=[write_list(folder, videos)], gt=[folder / "gt.npy"])


def test_array_of_the_list_is_clean(tmp_path):
    videos = list(OFFICIAL.video_ids)
    sections = check_array(tmp_path, gt_vector(videos), videos)
    assert not num_problems(sections)
    assert facts(sections[1])["frames"] == "1,109,824, UCF-Crime, floor(n/16)"
    assert facts(sections[1])["agrees with truth"] == "290 of 290 videos"


def test_array_in_another_order(tmp_path):
    videos = list(OFFICIAL.video_ids)
    sections = check_array(tmp_path, gt_vector(sorted(videos)), videos)
    assert list(found(sections)) == ["order of concatenation"]
    assert "order alphabetical" in facts(sections[1])["best reading"]


def test_array_with_inclusive_ends(tmp_path):
    videos = list(OFFICIAL.video_ids)
    sections = check_array(tmp_path, gt_vector(videos, end=1), videos)
    assert not num_problems(sections)
    assert sections[1].findings[0].kind == "end convention"


def test_array_without_some_classes(tmp_path):
    videos = list(OFFICIAL.video_ids)
    vector = np.concatenate(
        [gt_vector([video]) * (not video.startswith(("Road", "Shop"))) for video in videos]
    )
    problems = found(check_array(tmp_path, vector, videos))
    assert len(problems["other frames"]) == 23 + 21
    assert (
        "RoadAccidents001_x264: 90 positive frames in the truth, 0 here"
        in (problems["other frames"])
    )
    (zero,) = [
        f.message
        for section in check_array(tmp_path, vector, videos)
        for f in section.findings
        if f.kind == "all-zero classes"
    ]
    assert zero.endswith("RoadAccidents, Shoplifting")


def test_array_of_another_length_and_no_array_at_all(tmp_path):
    videos = list(OFFICIAL.video_ids)
    problems = found(check_array(tmp_path, gt_vector(videos)[:-16], videos))
    assert "floor(n/16): 1,109,824 frames" in problems["length"]
    for other in (gt_vector(videos) * 2, np.array(1), np.array(["0", "1"])):
        assert "no 0/1 vector" in found(check_array(tmp_path, other, videos))


def test_mask_of_videos_is_no_frame_truth(shared_data):
    base = shared_data / "published"
    sections = run_checks(
        lists=[base / "nwpu-zxr+VadCLIP/list/xd_CLIP_rgbtest.csv"],
        gt=[base / "cool-xuan+BN-WVAD/frame_label/xd_anomaly_mask.repacked.npz"],
        frame_counts=base / "zuble+uws4vad/data/gt/xdv_tframes.txt",
    )
    assert list(found(sections)) == ["no frame truth"]
    assert facts(sections[1])["frames"].startswith("2,330,384")


def test_published_shanghaitech_array(shared_data):
    base = shared_data / "published"
    sections = run_checks(
        lists=[base / "tianyu0207+RTFM/list/shanghai-i3d-test-10crop.list"],
        annotations=[
            base / "louisYen+S3R/data/shanghaitech/shanghaitech_ground_truth.testing.json"
        ],
        gt=[base / "tianyu0207+RTFM/list/gt-sh.npy"],
    )
    assert not num_problems(sections)
    assert facts(sections[2])["positives"] == "8,028"
    assert facts(sections[2])["frames"].startswith("142,912")


# --- features -----------------------------------------------------------------------------------


@pytest.fixture
def features(tmp_path) -> pathlib.Path:
    """Roc-Ng-like files of four UCF-Crime videos, two crops each."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "features"
    folder.mkdir()
    for video in list(OFFICIAL.video_ids)[:4]:
        for crop in range(2):
            rows = rng.normal(size=(OFFICIAL.num_frames[video] // 16, 6)).astype(np.float16)
            np.save(folder / f"{video}__{crop}.npy", rows)
    return folder


def feature_problems(folder: pathlib.Path, **options) -> dict[str, tuple[str, ...]]:
    path = folder.parent / "f.list"
    videos = list(OFFICIAL.video_ids)[:4]
    path.write_text("".join(f"{video}__{crop}.npy\n" for video in videos for crop in range(2)))
    sections = run_checks(lists=[path], features=folder, **options)
    return found(sections[1:])


def test_good_features_are_clean(features):
    section = run_checks(
        features=features, annotations=[FIXTURES / "henrryzh1+UR-DMU/list/UCF_Annotation.txt"]
    )[-1]
    assert not [f for f in section.findings if f.problem]
    assert feature_problems(features) == {}


def test_feature_faults_are_named(features):
    videos = list(OFFICIAL.video_ids)[:4]
    first, second, third, fourth = (features / f"{video}__0.npy" for video in videos)
    rows = np.load(first)
    (features / f"{videos[0]}__1.npy").unlink()
    np.save(second, np.load(second)[:-1])
    np.save(third, np.load(third)[:-3])
    np.save(features / f"{videos[2]}__1.npy", np.load(third))
    fourth.write_bytes(fourth.read_bytes()[:-5])
    problems = feature_problems(features)
    (missing,) = problems["missing crops"]
    assert missing.endswith(f"f.list:2: no file of {videos[0]}__1.npy below {features}")
    assert problems["damaged files"][0].startswith(str(fourth))
    assert problems["shapes differ"][0].startswith(f"{videos[1]}: {second.name} (95, 6)")
    assert problems["lengths differ"] == (f"{videos[2]}: T = 145, 2374 frames",)
    assert problems["features twice"] == (f"{third.name}, {videos[2]}__1.npy",)
    assert len(rows) == 88


def test_value_faults_are_named(features):
    videos = list(OFFICIAL.video_ids)[:4]
    paths = [features / f"{video}__0.npy" for video in videos]
    arrays = [np.load(path) for path in paths]
    arrays[0][0, 0] = np.nan
    arrays[1][:] = 0
    arrays[2][:] = arrays[2][0]
    arrays[3] = arrays[3] / np.linalg.norm(arrays[3].astype(np.float32), axis=1, keepdims=True)
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array.astype(np.float16))
    problems = feature_problems(features)
    assert problems["values not finite"] == (str(paths[0]),)
    assert problems["values all zero"] == (str(paths[1]),)
    assert problems["values constant in time"] == (str(paths[2]),)
    assert str(paths[3]) in problems["normalisation differs"]
    assert feature_problems(features, values="none") == {}


def test_a_single_odd_value_needs_all_rows(features):
    path = features / f"{OFFICIAL.video_ids[0]}__0.npy"
    rows = np.load(path)
    rows[1, 0] = np.inf
    np.save(path, rows)
    assert feature_problems(features) == {}
    nan = f"{path}: inf at crop 0, segment 1, channel 0; extract the file again"
    assert feature_problems(features, values="all") == {"values not finite": (nan,)}


# --- report and command -------------------------------------------------------------------------


def test_report_shows_few_and_keeps_all():
    section = Section("list x")
    section.problem("missing videos", "9 videos", [f"v{i}" for i in range(9)])
    text = render([section])
    assert "v5" in text and "v6" not in text and "and 3 more" in text and "1 problem" in text
    report = to_dict([section])
    assert len(report["sections"][0]["findings"][0]["videos"]) == 9 and not report["clean"]


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return call("data_prep.check", *arguments)


def test_command_and_its_exit_codes(tmp_path):
    clean = run_command(
        f"--annotations={FIXTURES / 'henrryzh1+UR-DMU/list/UCF_Annotation.txt'}",
        f"--output={tmp_path / 'report.json'}",
    )
    assert clean.returncode == 0 and clean.stdout.endswith("clean\n"), clean.stderr
    assert json.loads((tmp_path / "report.json").read_text())["clean"]
    (tmp_path / "l.list").write_text("own.npy\n")
    assert run_command(f"--list={tmp_path / 'l.list'}").returncode == 1
    unreadable = run_command(f"--list={tmp_path / 'none.list'}")
    assert unreadable.returncode == 2 and unreadable.stderr.startswith("error: ")
    assert "nothing to check" in run_command().stderr
    for rate in ("inf", "nan"):
        odd = run_command(f"--annotations={tmp_path / 'l.list'}", f"--fps={rate}")
        assert odd.returncode == 2 and "give a number" in odd.stderr and odd.stderr.count("\n") == 1
