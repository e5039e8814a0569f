"""Scores in the formats that people bring: each is read right, or refused with its cure."""

import io
import json
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.score_files import read_scores
from refinevad_jax.evaluation.score_formats import content_sha256, read_content
from tests.evaluation.test_score_files import INFO, LENGTHS, bags, key, ramp, save

WANTED = {name: ramp(length) for name, length in LENGTHS.items()}
LISTS = {name: values.tolist() for name, values in WANTED.items()}
JOINED = np.concatenate(list(WANTED.values()))


def lines(*words: Any, mark: str = ",", places: range | None = None) -> str:
    """Rows of a table, one per score: words are formats of video, place and score."""
    rows = [
        mark.join(word.format(v=video, i=i, s=score) for word in words)
        for video, scores in LISTS.items()
        for i, score in enumerate(scores)
    ]
    return "\n".join(rows)


SCORES = [
    {"video": video, "frame": i, "score": score}
    for video, values in LISTS.items()
    for i, score in enumerate(values)
]


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("s.csv", "video,frame,score\n" + lines("{v}", "{i}", "{s}"), ""),
        ("s.csv", "video,segment,score,label\n" + lines("{v}", "{i}", "{s}", "1"), "read: label"),
        ("s.csv", "score,video\n" + lines("{s}", "{v}"), ""),
        ("s.csv", "id;name;time;anomaly_score\n" + lines("7", "{v}", "{i}", "{s}", mark=";"), "id"),
        ("s.tsv", "Video\tFrame\tScore\r\n" + lines("{v}", "{i}", "{s}", mark="\t"), ""),
        ("s.txt", lines("{v}", "{s}", mark=" "), ""),
        ("s.csv", lines("{v}.mp4", "{s}"), "names were matched"),
        ("s.csv", lines("test/{v}.mp4", "{s}"), "names were matched"),
        ("s.csv", lines("V{v}", "{s}").replace("Vv", "V"), "names were matched"),
        (
            "s.csv",
            "video,frame,score\n" + "\n".join(lines("{v}", "{i}", "{s}").split("\n")[::-1]),
            "rows of 3 videos were sorted by time",
        ),
        ("s.txt", "\n".join(map(str, JOINED.tolist())), "names no video"),
        ("s.csv", "score\n" + "\n".join(map(str, JOINED.tolist())), "names no video"),
        ("s.json", json.dumps(JOINED.tolist()), "names no video"),
        ("s.json", json.dumps(LISTS), ""),
        ("s.json", json.dumps({"scores": LISTS}), ""),
        ("s.json", json.dumps({v: {"label": 1, "scores": s} for v, s in LISTS.items()}), ""),
        ("s.json", json.dumps({f"{v}.mp4": [[x] for x in s] for v, s in LISTS.items()}), "matched"),
        ("s.json", json.dumps([{"video": v, "scores": s} for v, s in LISTS.items()]), ""),
        ("s.json", json.dumps(SCORES), ""),
        ("s.json", "\n".join(map(json.dumps, SCORES)), ""),
        ("s.json", json.dumps({v: dict(enumerate(s)) for v, s in LISTS.items()}), ""),
        ("s.csv", "video,pred,score\n" + lines("{v}", "1", "{s}"), "not read: pred"),
        ("s.csv", ",video,score\n" + lines("7", "{v}", "{s}"), ""),
        ("s.npz", npz(pred=JOINED), "names no video"),
        ("s.npz", npz(**{v: x[None] for v, x in WANTED.items()}), ""),
        ("s.npz", npz(**{v: x[:, None] for v, x in WANTED.items()}), ""),
        ("s.npy", npy(JOINED[None]), "names no video"),
    ],
)
def test_formats(tmp_path: pathlib.Path, name: str, content: str | bytes, note: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = read_scores(path, INFO, bags(), key=key)
    for result, values in zip(found.split.results, WANTED.values(), strict=True):
        np.testing.assert_allclose(result.scores, values, rtol=1e-6)
    others = [one for one in found.notes if "found by name" not in one]
    assert bool(others) == bool(note) and note in " ".join(others)


@pytest.mark.parametrize("suffix", [".npy", ".txt", ".json", ".csv", "/of.npy"])
def test_a_folder_with_a_file_per_video(tmp_path: pathlib.Path, suffix: str) -> None:
    folder = tmp_path / "scores"
    within = folder / "fight" if suffix.startswith("/") else folder
    suffix = suffix.removeprefix("/of")
    within.mkdir(parents=True)
    for video, values in LISTS.items():
        path = within / f"{video}{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        else:
            text = json.dumps(values) if suffix == ".json" else "\n".join(map(str, values))
            path.write_text(text)
    before = content_sha256(folder)
    (folder / "log.xml").write_text("")
    found = read_scores(folder, INFO, bags(), key=key)
    np.testing.assert_allclose(found.split.results[1].scores, WANTED["v2"], rtol=1e-6)
    assert found.notes[0] == "left out of the folder: log.xml"
    path.write_text("0.5")
    assert content_sha256(folder) != before


def test_a_folder_with_class_folders(tmp_path: pathlib.Path) -> None:
    for i, video in enumerate(("Fight/1", "Normal/1")):
        (tmp_path / video).parent.mkdir()
        (tmp_path / f"{video}.txt").write_text(f"0.{i}\n0.5\n")
    found, _ = read_content(tmp_path)
    assert isinstance(found, dict)
    assert {name: values.tolist() for name, values in found.items()} == {
        "Fight/1": [0, 0.5],
        "Normal/1": [0.1, 0.5],
    }


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([0, 1, 2], [1, 2, 3]),
        ([1, 2, 3], [1, 2, 3]),
        ([3, 4, 5], [1, 1, 1, 1, 2, 3]),
        ([0, 2, 4], [1, 1, 2, 2, 3, 3]),
        ([2, 4, 6], [1, 1, 2, 2, 3, 3]),
        ([6, 8, 10], [1] * 8 + [2, 2, 3, 3]),
        ([0, 16, 32], [1, 2, 3]),
        ([0, 0.64, 1.28], [1, 2, 3]),
    ],
)
def test_scores_of_some_frames(tmp_path: pathlib.Path, frames: list[float], expected: Any) -> None:
    path = tmp_path / "s.csv"
    rows = [f"v,{frame},{i}" for i, frame in enumerate(frames, 1)]
    path.write_text("\n".join(["video,frame,score", *rows]))
    found, notes = read_content(path)
    assert isinstance(found, dict) and found["v"].tolist() == expected
    assert bool(notes) == (len(expected) > 3)


def test_containers(tmp_path: pathlib.Path) -> None:
    from safetensors.numpy import save_file

    save_file(WANTED, tmp_path / "s.safetensors")
    found = read_scores(tmp_path / "s.safetensors", INFO, bags(), key=key)
    np.testing.assert_allclose(found.split.results[0].scores, WANTED["v1"], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.csv", lines("{v}", "{i}", "{s}"), "count up in every video: .* video,frame,score"),
        ("s.csv", "video,frame,score\nv1,0,0.5\nv1,0,0.6\n", "csv:3: place 0 of v1 appears twice"),
        (
            "s.csv",
            "video,frame,score\nv1,0,1\nv1,1,1\nv1,3,1",
            "at 1 and the next at 3, others are",
        ),
        ("s.csv", "video,frame,score\nv1,0,1\nv1,1000000000,1", "no video is as long"),
        ("s.json", '{"v1": {"label": 1}}', "v1: keys label; 'scores' is needed"),
        ("s.csv", "video,frame,score\nv1,0\n", "csv:2: 2 cells, the header has 3"),
        ("s.csv", "video,frame,score\nv1,0,high\n", "csv:2: 'v1, 0, high' is not video,score"),
        ("s.csv", "clip,when,loss\nv1,0,2\n", r"columns clip, when, loss; name them video, frame"),
        ("s.csv", "<!DOCTYPE html>", "it is a web page"),
        ("s.csv", "PK\x03\x04", "zip archive"),
        ("s.doc", b"\xd0\xcf\x11\xe0", "an old Word or Excel file, not a file of scores; save"),
        ("s.json", "{", "not JSON"),
        ("s.json", '{"v1": "high"}', "v1: 'high' is not a list of numbers"),
        ("s.json", '[{"a": 1}]', "keys a; 'video' and 'scores' are needed"),
        ("s.json", '[{"video": "v1", "score": 1}, {"video": 3, "score": 1}]', "entry 2"),
        ("s.pkl", pickle.dumps({"v1": [0.5]}), r"savez\('.*s\.npz', \*\*pickle\.load\(F\)\)"),
        ("s.npy", npy(np.array({"v1": [0.5]})), r"savez\('.*s\.npz', \*\*numpy\.load\(.*\.item"),
        ("s.mat", b"nothing", r"it is not a \.mat file"),
    ],
)
def test_refusals(tmp_path: pathlib.Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError, match=message) as caught:
        read_content(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda x: x, ""),
        (lambda x: 8 * x - 4, "scores lie in [-4, "),
        (lambda x: 100 * x, "AUC and AP depend on the order alone"),
        (lambda x: 0 * x + 0.25, "all scores are 0.25: they rank nothing"),
        (lambda x: (x > 0.2).astype(float), "all scores are 0 or 1: labels"),
        (lambda x: 0 * x + len(x) / 10, "3 of 3 videos have one score throughout"),
    ],
)
def test_what_scores_seem_to_be(tmp_path: pathlib.Path, change: Any, note: str) -> None:
    path = save(tmp_path, **{name: change(values) for name, values in WANTED.items()})
    said = read_scores(path, INFO, bags()).notes[1:]
    assert bool(said) == bool(note) and note in " ".join(said)


def test_names_that_differ_in_case(tmp_path: pathlib.Path) -> None:
    arrays = {name.upper(): values for name, values in WANTED.items()}
    assert "3 names" in read_scores(save(tmp_path, **arrays), INFO, bags()).notes[1]
    with pytest.raises(UserError, match="'v1' and 'V1' are both of video v1"):
        read_scores(save(tmp_path, **arrays, v1=ramp(3)), INFO, bags())
