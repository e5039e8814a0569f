"""Packaging and checks of features that lie beside the records of extraction."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from data_prep.checks.findings import Section
from data_prep.checks.run import run_checks
from data_prep.dataset.videos import Span, Video, check_classes
from data_prep.sources.package import Request, read_request
from data_prep.sources.recorded import name_encoder
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

TAXONOMY = Taxonomy("gate", ("Fight",), ("Fight",))
I3D = "i3d-rgb-kinetics400"


def extracted(path: pathlib.Path, segments: int = 5, **changes: Any) -> pathlib.Path:
    """A feature file with its record, as extraction writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng([*path.stem.encode()]).normal(size=(segments, 4)))
    facts = {
        "encoder": I3D,
        "num_crops": 1,
        "num_frames": 16 * segments,
        "fps": 10.0,
        "num_segments": segments,
        "features_sha256": file_sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(facts | changes))
    return path


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two videos of five segments at ten frames per second, in a list of their names."""
    extracted(tmp_path / "f" / "clips" / "a.npy")
    extracted(tmp_path / "f" / "clips" / "b.npy")
    (tmp_path / "test.csv").write_text("video,label\nclips/a.mp4,Fight\nclips/b.mp4,Normal\n")
    (tmp_path / "seconds.json").write_text('{"a": [[4.0, 6.0]], "b": []}')
    return tmp_path


def read(folder: pathlib.Path, **options: Any) -> tuple[BagsInfo, list[Video]]:
    features = {"visual": folder / "f"} | options.pop("features", {})
    lists = {"test": folder / "test.csv"}
    return read_request(Request(lists, features, "gate", TAXONOMY, **options))


def test_encoder_rate_and_length_come_from_the_records(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extracted(folder / "f" / "clips" / "b.npy", num_frames=90, fps=30.0)
    info, (first, second) = read(folder, annotations=folder / "seconds.json")
    assert info.encoder == I3D
    assert (first.fps, first.num_frames, first.spans) == (10, 80, (Span(40, 60),))
    assert (second.fps, second.num_frames, second.spans) == (30, 90, ())
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: 2 of 2 files in ")
    assert note.endswith(f"agree with it (SHA-256 and length): encoder {I3D}")
    provenance = info.provenance
    extracted(folder / "f" / "clips" / "b.npy", num_frames=91, fps=30.0)
    assert read(folder)[0].provenance != provenance


def test_a_variable_rate_is_mapped_by_the_times_of_its_segments(folder: pathlib.Path) -> None:
    """80 frames in 9.4 s, most of them in the first two seconds."""
    edges = [0.0, 0.6, 1.2, 4.0, 6.0, 9.4]
    extracted(folder / "f" / "clips" / "a.npy", segment_seconds=edges)
    _, (video, _) = read(folder, annotations=folder / "seconds.json")
    assert video.spans == (Span(48, 64),)
    assert video.fps == pytest.approx(80 / 9.4)


def test_shares_need_no_frame_counts(folder: pathlib.Path) -> None:
    entry = {"path": "a.mp4", "class_name": "Fight", "anomaly_span": [[0.5, 1.0]]}
    (folder / "shares.json").write_text(json.dumps([entry]))
    _, (video, _) = read(folder, annotations=folder / "shares.json")
    assert video.spans == (Span(40, 80, "Fight"),)


def test_the_annotation_then_the_record_then_the_flag(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"annotations": [{"segment": [1, 2], "label": "Fight"}]}
    stated = {"duration_frame": 78, "duration": 3.9}
    for facts, expected in (
        (stated, (20.0, 78, (Span(20, 40, "Fight"),))),
        ({}, (10.0, 80, (Span(10, 20, "Fight"),))),
    ):
        (folder / "truth.json").write_text(json.dumps({"database": {"a": entry | facts}}))
        (folder / "n.txt").write_text("a@70\nb@80\n")
        options = {"annotations": folder / "truth.json", "frame_counts": folder / "n.txt"}
        _, (video, _) = read(folder, **options, fps=30.0)
        assert (video.fps, video.num_frames, video.spans) == expected
    err = capsys.readouterr().err
    assert "warning: --frame_counts differs from what extraction counted, which is taken: a " in err
    assert "warning: --fps=30 differs from the rate that extraction recorded" in err
    (folder / "f" / "clips" / "a.json").unlink()
    _, (video, _) = read(folder, **options, fps=30.0)
    assert (video.fps, video.num_frames, video.spans) == (30.0, 70, (Span(30, 60, "Fight"),))
    assert "a.npy (1 in all)" in capsys.readouterr().err  # it alone has no record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder": "clip-vit-l-14"},
            rf"b\.npy: encoder 'clip-vit-l-14', but .*a\.npy has '{I3D}'",
        ),
        ({"num_crops": 10}, r"b\.npy: num_crops 10, but .*a\.npy has 1; give one folder"),
        ({"weights_sha256": "1"}, r"b\.npy: weights_sha256 '1', but"),
        ({"features_sha256": "1"}, r"b\.npy: not the file .*its SHA-256 is another\); extract"),
        ({"num_segments": 6, "num_frames": 96}, r"b\.npy: not the file .*T = 5, the record says 6"),
        ({"num_frames": -1}, r"b\.json: not a record .*num_frames is -1"),
    ],
)
def test_records_that_contradict_are_refused(
    folder: pathlib.Path, changes: dict[str, Any], message: str
) -> None:
    extracted(folder / "f" / "clips" / "b.npy", **changes)
    with pytest.raises(UserError, match=message):
        read(folder)
    problems = findings(run_checks(lists=[folder / "test.csv"], features=folder / "f"))
    assert problems.keys() & {"other settings", "changed files", "damaged records"}


def test_flags_that_contradict_the_records_are_refused(folder: pathlib.Path) -> None:
    assert read(folder, encoder="i3d")[0].encoder == I3D
    with pytest.raises(UserError, match=f"--encoder=clip: the records .* say {I3D}; leave"):
        read(folder, encoder="clip")
    with pytest.raises(UserError, match=r"--frames_per_segment=8: the records .* say 16"):
        read(folder, frames_per_segment=8)


def test_encoders_of_several_folders_are_joined(folder: pathlib.Path) -> None:
    for name in "ab":
        extracted(folder / "t" / "clips" / f"{name}.npy", encoder="all-MiniLM-L6-v2")
    assert read(folder, features={"text": folder / "t"})[0].encoder == f"{I3D} + all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("given", "recorded", "expected"),
    [
        ("", ["", ""], "x + y"),
        ("", [I3D, ""], f"{I3D} + y"),
        ("i3d", ["", ""], I3D),
        ("i3d + minilm", ["", ""], f"{I3D} + all-MiniLM-L6-v2"),
        ("I3D, Kinetics-400", ["", ""], "I3D, Kinetics-400"),
        ("i3d + sound", [I3D, ""], f"{I3D} + sound"),
        ("sound", [I3D, ""], None),
        (f"{I3D}, ours", [I3D, ""], None),
        ("i3d", [I3D, I3D], None),
    ],
)
def test_names_of_encoders(given: str, recorded: list[str], expected: str | None) -> None:
    if expected is not None:
        assert name_encoder(given, recorded, ["x", "y"]) == expected
        return
    with pytest.raises(UserError, match=f"--encoder={given}: "):
        name_encoder(given, recorded, ["x", "y"])


def findings(sections: list[Section]) -> dict[str, tuple[str, ...]]:
    return {f.kind: f.videos for section in sections for f in section.findings if f.problem}


def test_checks_compare_records_and_know_times(folder: pathlib.Path) -> None:
    inputs: dict[str, Any] = {
        "lists": [folder / "test.csv"],
        "features": folder / "f",
        "annotations": [folder / "seconds.json"],
    }
    sections = run_checks(**inputs)
    assert not findings(sections)
    facts = dict(fact for section in sections for fact in section.facts)
    assert facts["records"] == "2 of 2 files, compared by SHA-256 and length"
    assert facts["encoder"] == I3D
    (folder / "f" / "clips" / "b.json").unlink()
    assert findings(run_checks(**inputs))["without record"] == (str(folder / "f/clips/b.npy"),)


def videos(split: str, *labels: str) -> list[Video]:
    return [
        Video(f"{split}{i}", split, label, lambda: np.zeros((1, 1, 1)), "list.csv")
        for i, label in enumerate(labels)
    ]


def test_training_needs_both_classes(capsys: pytest.CaptureFixture[str]) -> None:
    check_classes([*videos("train", "Fight", "Normal"), *videos("test", "Normal")], TAXONOMY)
    note = "note: split test: 1 normal and 0 anomalous videos; it cannot measure AUC, AP and"
    assert capsys.readouterr().err.startswith(note)
    for labels, found in (
        (["Normal"] * 3, "3 normal and 0 anomalous videos"),
        (["Fight"] * 2, "0 normal and 2 anomalous videos"),
    ):
        with pytest.raises(UserError) as caught:
            check_classes(videos("train", *labels), TAXONOMY)
        assert str(caught.value) == (
            f"split train: {found}; multiple-instance learning needs both normal and anomalous "
            "videos. In taxonomy gate, normal is written Normal"
        )


def test_labels_are_checked_before_features_are_read(folder: pathlib.Path) -> None:
    (folder / "f" / "clips" / "a.npy").write_bytes(b"damaged")
    features = {"visual": folder / "f"}
    for rows, message in (
        ("a,Fight\nb,Fight\n", "split train: 0 normal and 2 anomalous videos"),
        ("a,Fall\nb,Normal\n", r"train\.csv:2: video a: unknown label 'Fall'"),
    ):
        (folder / "train.csv").write_text(f"video,label\n{rows}")
        with pytest.raises(UserError, match=message):
            read_request(Request({"train": folder / "train.csv"}, features, "gate", TAXONOMY))
