"""Whatever the input, a reader, flag or writer ends in a result or in the project's own error.

`make fuzz` tries many inputs and prints how many; `make test` a few. Readers of released lists and
annotations: tests/data_prep/test_fuzz_readers.py.
"""

import copy
import dataclasses
import io
import itertools
import json
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks import event_choice
from data_prep.annotations import read_annotations
from data_prep.annotations.rates import Clock
from data_prep.catalogue.lookup import load_taxonomy
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.extraction.jobs import read_videos
from data_prep.sources.lists import read_list
from data_prep.sources.span_fit import extents_of
from data_prep.sources.timed_text import read_npz
from data_prep.sources.truth import fit_of, settle_truth
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import read_info
from refinevad_jax.detection.features import read_features
from refinevad_jax.encoders.subtitles import read_sentences
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import comparison, score_files
from refinevad_jax.files.arrays import load_array, load_packed
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.metrics.events import propose_events
from refinevad_jax.report import compare_page, tables
from refinevad_jax.runs.evaluations import read_metrics
from refinevad_jax.runs.run import read_run
from refinevad_jax.runtime.command_line import one_line
from refinevad_jax.training import failures
from tests.conftest import LONG
from tests.faults.conftest import Record
from tests.faults.scenarios import Ground

EXAMPLES = 3000 if LONG else 40
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not LONG,
    phases=[Phase.generate] if LONG else [Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TRIED: dict[str, int] = {}

SRT = (
    b"1\n00:00:01,000 --> 00:00:02,500\nA man <b>runs</b>\n\n2\n00:00:03,000 --> 00:00:04,000\nx\n"
)
VTT = b"WEBVTT\n\n00:01.000 --> 00:02.500 align:start\nA man runs\n\nNOTE x\n"
LINES = b'{"start": 0, "end": 1.5, "text": "A man runs"}\n{"start": 2, "end": 3, "text": "x"}\n'
ODD = [
    b"\0",
    b"\n",
    b"-1",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"{",
    b"[",
    b'"',
    b"\xff",
    b",",
]
VALUES = [None, True, -1, 0, 10**30, 1e308, "", "x" * 300, "../..", "\0", [], {}, [[]], {"a": 1}]


@pytest.fixture(scope="module", autouse=True)
def counts(record: Record) -> Iterator[None]:
    TRIED.clear()
    yield
    for name, number in TRIED.items():
        record.add("Fuzzing", name, inputs=number, untyped_errors=0)
    print(f"inputs tried: {sum(TRIED.values())}")


def ends_well(name: str, call: Callable[[], Any]) -> Any:
    """Counts an input; its result, None for an error of the right kind."""
    TRIED[name] = TRIED.get(name, 0) + 1
    try:
        return call()
    except UserError as error:
        assert one_line(error)
        return None


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def bent(data: bytes, rng: random.Random) -> bytes:
    """A few bytes of a file replaced, inserted or removed."""
    found = bytearray(data)
    for _ in range(rng.randint(0, 4)):
        start = rng.randint(0, len(found))
        length = rng.choice([0, 1, 1, 2, 8, 200])
        new = rng.choice([*ODD, bytes(rng.randbytes(rng.randint(0, 6))), found[start : start + 40]])
        found[start : start + length] = new
    return bytes(found[: rng.choice([len(found), len(found), rng.randint(0, len(found) + 1)])])


def bent_json(value: Any, rng: random.Random) -> Any:
    """A JSON value with a few of its parts replaced, removed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(0, 3)):
        parent, part = None, value
        while isinstance(part, dict | list) and part and (parent is None or rng.random() < 0.8):
            parent = part
            key = rng.choice(list(part)) if isinstance(part, dict) else rng.randrange(len(part))
            part = part[key]
        if parent is None:
            return rng.choice(VALUES)
        if rng.random() < 0.2:
            del parent[key]
        else:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
    return value


def fitted_truth(path: pathlib.Path) -> Any:
    """A truth in frames, by a recorded clock, compared with the length of its videos."""
    clock = Clock(9.0, lambda seconds: 9 * seconds, 80, steady=False)
    truth = settle_truth(read_annotations(path), {"a": 80}, 25.0, {"b": clock})
    extents = extents_of(truth.spans, {"a": 80}, {"b": 5}, 16)
    return fit_of(truth, truth.spans, extents).faults


DATABASE = json.dumps(
    {
        "database": {
            "a": {
                "fps": 25,
                "duration": 3.2,
                "duration_frame": 80,
                "annotations": [{"segment": [1, 2], "label": "Fight"}],
            },
            "b": {"duration": 9.4, "annotations": [{"segment": [4, 60], "label": "Fight"}]},
        }
    }
).encode()
SEEDS = st.integers(0, 2**32)
SCORES = {"v0": np.zeros(4), "v1": np.ones(4, np.float32)}
FILES: dict[str, tuple[bytes, Callable[[pathlib.Path], Any]]] = {
    "a.npy": (npy(np.ones((3, 2), np.float32)), load_array),
    "b.npy": (npy(np.ones((3, 1, 2), np.float32)), read_features),
    "a.npz": (npz(**SCORES), load_packed),
    "text.npz": (
        npz(
            sentence_embedding=np.ones((3, 2), np.float16),
            sentence_video=np.array([0, 0, 1]),
            sentence_start=np.array([0, 2, 0], np.float32),
            sentence_end=np.array([1, 3, 2], np.float32),
            video_name=np.array(["a", "b"]),
            video_frames=np.array([90, 60]),
            video_category=np.array(["Abuse", "Normal"]),
        ),
        read_npz,
    ),
    "a.srt": (SRT, read_sentences),
    "a.vtt": (VTT, read_sentences),
    "a.jsonl": (LINES, read_sentences),
    "list.csv": (b"path,label\na.npy,Abuse\nb/c.npy,Normal\n", read_list),
    "videos.txt": (b"a.mp4\nb/c.mp4\n/abs/d.mp4\n", read_videos),
    "taxonomy.json": (json.dumps(UCF_CRIME.to_dict()).encode(), lambda p: load_taxonomy(str(p))),
    "intervals.json": (
        b'{"a": [[0, 1.5], [3, 4]], "b": []}',
        read_annotations,
    ),
    "truth.json": (DATABASE, fitted_truth),
    "events.csv": (
        b"file,start (s),end (s),label\na.mp4,1.5,0:03,x\na.mp4,5,6,y\nb.mp4,,,normal\n",
        read_annotations,
    ),
    "events.json": (
        b'{"a": {"fps": 25, "events": [{"start": 1.5, "end": 3, "label": "x"}]}, "b": [[1, 2]]}',
        read_annotations,
    ),
    "export.json": (
        json.dumps(
            {
                "images": [{"id": i, "file_name": f"a/{i}.jpg"} for i in range(4)],
                "annotations": [{"image_id": 2, "category_id": 1}],
                "categories": [{"id": 1, "name": "x"}],
            }
        ).encode(),
        read_annotations,
    ),
    "a.eaf": (
        b'<ANNOTATION_DOCUMENT><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="15"/>'
        b'<TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="30"/></TIME_ORDER><TIER TIER_ID="x">'
        b'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" TIME_SLOT_REF1="t1" '
        b'TIME_SLOT_REF2="t2"/></ANNOTATION></TIER></ANNOTATION_DOCUMENT>',
        read_annotations,
    ),
    "failure.npz": (npz(facts=np.array("{}"), features=np.ones((2, 3, 4))), failures.read),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: pathlib.Path) -> None:
    content, reader = FILES[name]
    path = tmp_path / name

    @FUZZ
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = random.Random(seed)
        data = bent(content, rng)
        if name.endswith(".json") and rng.random() < 0.7:
            data = json.dumps(bent_json(json.loads(content), rng)).encode()
        path.write_bytes(data)
        ends_well(name, lambda: reader(path))

    run()


def test_scores_of_others(ground: Ground, tmp_path: pathlib.Path) -> None:
    from refinevad_jax.data.bags import read_split

    info, bags = read_info(str(ground.data), "tiny"), read_split(str(ground.data), "tiny", "test")
    whole = {bag.video_id: np.zeros(bag.num_segments, np.float32) for bag in bags}
    lengths = np.array([len(scores) for scores in whole.values()])
    bare = [
        dataclasses.replace(bag, features=np.zeros((1, 0, 0), np.float16), num_frames=0)
        for bag in bags
    ]
    known = [
        dataclasses.replace(bag, num_frames=16 * int(length))
        for bag, length in zip(bare, lengths, strict=True)
    ]
    rules = {"one": lengths, "other": lengths[::-1]}
    videos = [(bags, {}), (bare, {}), (known, rules), ([*known[:3], *bare[3:]], {})]
    joined = {
        "scores": np.zeros(lengths.sum()),
        "video_ids": np.array(list(whole)),
        "num_segments": lengths,
    }
    table = "".join(f"{name},{','.join(map(str, values))}\n" for name, values in whole.items())
    as_json = {name: np.ravel(values).tolist() for name, values in whole.items()}
    long = "video,frame,score\n" + "".join(
        f"{name},{i},{value}\n" for name, row in as_json.items() for i, value in enumerate(row)
    )
    shapes = [(), (0,), (1,), (7,), (9, 4), (9, 1), (1, 9), (10, 9), (5, 10), (2, 3, 4), (0, 5)]

    def bent_arrays(arrays: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        for _ in range(rng.randint(0, 3)):
            kind = rng.choice([np.float32, np.int64, np.bool_, "U3", np.complex64])
            arrays[rng.choice(list(arrays))] = np.full(
                rng.choice(shapes), rng.choice([0, 1, 9]), kind
            )
        return arrays

    def any_file(rng: random.Random) -> tuple[str, bytes]:
        kind = rng.choice(["npz", "npz", "joined", "npy", "csv", "long", "json"])
        if kind == "npy":
            total = int(lengths.sum()) * rng.choice([1, 16])
            shape = rng.choice([*shapes, (total,), (total, 1), (10, total), (total, 4)])
            return "scores.npy", npy(np.full(shape, 0.5, rng.choice([np.float32, np.bool_, "U2"])))
        if kind == "csv":
            return "scores.csv", bent(table.encode(), rng)
        if kind == "long":
            return "scores.csv", bent(long.encode(), rng)
        if kind == "json":
            return "scores.json", json.dumps(bent_json(as_json, rng)).encode()
        return "scores.npz", npz(**bent_arrays(dict(joined if kind == "joined" else whole), rng))

    @FUZZ
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = random.Random(seed)
        name, content = any_file(rng)
        path = tmp_path / name
        path.write_bytes(bent(content, rng) if rng.random() < 0.2 else content)
        found, by_rule = rng.choice(videos)
        ends_well(
            name, lambda: score_files.read_scores(path, info, found, length_rules=by_rule).split
        )

    run()


def test_descriptions_of_runs_and_data_sets(ground: Ground, tmp_path: pathlib.Path) -> None:
    """config.json and metadata.json whose digests would not notice it before."""
    shutil.copytree(ground.data, tmp_path / "data")
    metadata = next((tmp_path / "data").rglob("metadata.json"))
    config = tmp_path / "config.json"
    originals = [
        json.loads(metadata.read_text()),
        json.loads((ground.trained / config.name).read_text()),
    ]
    for original in originals:
        del original["sha256"]

    @FUZZ
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = random.Random(seed)
        metadata.write_text(json.dumps(bent_json(originals[0], rng)))
        ends_well("metadata.json", lambda: read_info(str(tmp_path / "data"), "tiny"))
        values = bent_json(originals[1], rng)
        if isinstance(values, dict):
            values = values | {"sha256": json_sha256(values)}
        config.write_text(json.dumps(values))
        run = ends_well("config.json", lambda: read_run(tmp_path))
        if run is not None:
            ends_well("config.json", lambda: (run.columns(), run.model_config))

    run()


def test_evaluations_and_their_pages(ground: Ground, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "evaluation"
    shutil.copytree(ground.folder / "run" / "eval" / "tiny-test-best", folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["split"] = "val"
    scores = dict(np.load(folder / "scores.npz"))

    def page() -> None:
        run = comparison.read_compared("one", [folder])
        content = {"runs": [{"name": "one", "metrics": run.metrics, "roc": [None]}]}
        content |= {"categories": comparison.comparison([run])["categories"], "differences": []}
        compare_page.write_page(tmp_path / "page.html", content)

    @settings(FUZZ, max_examples=max(EXAMPLES // 4, 20))
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = random.Random(seed)
        (folder / "metrics.json").write_text(json.dumps(bent_json(metrics, rng)))
        arrays = dict(scores)
        if rng.random() < 0.5:
            arrays[rng.choice(list(arrays))] = rng.choice(
                [np.zeros(3), np.array("x"), np.ones((2, 2))]
            )
        (folder / "scores.npz").write_bytes(npz(**arrays))
        ends_well("comparison page", page)
        ends_well("choice of events", lambda: event_choice.read_scored(folder))
        ends_well(
            "metrics.json", lambda: tables.result_table({"one": {folder: read_metrics(folder)}})
        )

    run()


def test_flags_of_a_configuration() -> None:
    keys = [*config_lib.RANGES, *config_lib.CHOICES, "data.modalities", "transfer.parts"]

    @FUZZ
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = random.Random(seed)
        config = config_lib.default()
        for key in rng.sample(keys, 3):
            group, name = key.rsplit(".", 1) if "." in key else ("", key)
            owner = config[group] if group else config
            try:
                owner[name] = rng.choice(
                    [0, -1, 3, 10**9, 0.5, float("nan"), float("inf"), "", "a"]
                )
            except TypeError:
                continue  # ml_collections keeps the type of a key
        ends_well("flags", lambda: config_lib.validate(config))

    run()


def test_events_of_any_scores() -> None:
    @FUZZ
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        rng = np.random.default_rng(seed)
        length = int(rng.choice([1, 2, 3, 50, 300]))
        scores = rng.choice([rng.random(length), rng.integers(0, 2, length), np.zeros(length)])
        probs = rng.random((length, 3)) if rng.random() < 0.5 else rng.random(3)
        frames = int(rng.integers(1, 16 * length + 1))
        threshold = rng.choice([None, 0.0, 0.5, 1.0])
        TRIED["events"] = TRIED.get("events", 0) + 1
        events = propose_events(
            scores, probs, frames_per_segment=16, num_frames=frames, threshold=threshold
        )
        for event in events:
            assert 0 <= event.start < event.end <= frames and 0 <= event.score <= 1

    run()


def test_videos(ground: Ground, tmp_path: pathlib.Path) -> None:
    whole = (ground.folder / "clips" / "clip0.mp4").read_bytes()
    write_video(tmp_path / "b.ts", [np.full((32, 32, 3), i, np.uint8) for i in range(32)], fps=25)
    twice = (tmp_path / "b.ts").read_bytes() * 2
    path = tmp_path / "a.video"

    def read() -> None:
        with Video(path) as video:
            seconds = [frame.seconds for frame in video]
        assert all(before <= after for before, after in itertools.pairwise(seconds))
        assert all(map(str, video.warnings))

    @settings(FUZZ, max_examples=max(EXAMPLES // 4, 20))
    @given(seed=SEEDS)
    def run(seed: int) -> None:
        path.write_bytes(bent(twice if seed % 2 else whole, random.Random(seed)))
        ends_well("video", read)

    run()
