"""Whatever the bytes, a reader answers or raises one UserError that names the file."""

import io
import pathlib
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.annotations import Annotations, read_annotations
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.checks.findings import Section, render
from data_prep.checks.run import run_checks
from data_prep.sources.lists import VideoList, read_list
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import feature_paths, load_file, read_shape

FIXTURES = sorted(
    path
    for path in (pathlib.Path(__file__).parent / "fixtures").rglob("*")
    if path.is_file() and path.name != "SOURCE.txt"
)
SUFFIXES_OF_FEATURES = (".npy", ".txt", ".csv", ".npz", ".mat", ".safetensors", ".pt")
SUFFIXES = (".txt", ".csv", ".list", ".json", ".npy", ".npz", ".eaf")
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def encode(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def encode_packed(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


SEEDS = [path.read_bytes()[:3000] for path in FIXTURES] + [
    b'{"Abuse028_x264": [[3, 9], [1.5, 4]], "a": []}',
    b'{"database": {"Abuse028_x264": {"duration": 9.4, "fps": 25, "duration_frame": 80, '
    b'"annotations": [{"segment": [4, 6], "label": "Abuse"}]}}}',
    b"file;start_time;end_time;class\na.mp4;1,5;0:03;x\na.mp4;PT5S;6s;y\nb.mp4;;;normal\n",
    b"video,frame,label\na,0,0\na,1,1\na,2,1\n",
    b"a.mp4 fight 1.5-3\nb.mp4: [4, 5]\nc.mp4 none\n",
    b"video,video_duration,start,end,unit,is_anomaly,class,fps\na,9,1500,3000,ms,1,x,30000/1001\n",
    b'{"fps": 25, "time_unit": "ms", "annotations": {"a": [["1500", "3000"]], "b": []}}',
    b'{"images": [{"id": 1, "file_name": "x/a_1.jpg"}], "annotations": [{"image_id": 1, '
    b'"attributes": {"action": "normal"}}]}',
    b"tier\t\t1500\t3000\t1500\tx\n",
    b"a 0 1 1 0\nb 0 0 0 0\n",
    b'[{"video": "a", "start_ms": 1500, "end_ms": 3000, "label": "x"}]',
    b'{"a": [[1.5, 3, "x"]], "b": []}',
    b'[{"file_upload": "a.mp4", "annotations": [{"result": [{"value": {"start": 1, "end": 2}}]}]}]',
    b'<annotations><track id="0" label="x"><box frame="3" outside="0"/></track></annotations>',
    encode(np.array([0, 1, 1, 0], np.uint8)),
    encode(np.ones((3, 2), np.float32)),
    encode_packed(**{"01_0014": np.array([0, 1]), "01_001": np.zeros(3)}),
    safetensors.numpy.save({"a": np.ones((3, 2)), "b": np.ones((2, 2))}),
    b"frame,f0,f1\n0,0.5,1\n16,2,3\n",
    b'[{"video": "a.mp4", "label": "x"}, {"video": "b.mp4", "label": 0}]',
    b'{"train": {"a.mp4": "x"}, "test": ["b.mp4"]}',
    b"id|video|class\n1|a.mp4|x\n2|b.mp4|Normal\n",
    b"1 a.mp4\n0 b.mp4\n",
    b"a.mp4|120|[3, 9, -1, -1]\nb.mp4|60|[]\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A released file with a few bytes replaced, inserted, removed or repeated."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        new = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    [
                        b"-1",
                        b"99999999999",
                        b"NaN",
                        b"1e999",
                        b"\n",
                        b"\r\n",
                        b"\0",
                        b"{",
                        b'"',
                        b",",
                    ]
                ),
                st.just(bytes(data[start : start + 40])),
            )
        )
        data[start : start + length] = new
    return bytes(data)


def answer_or_user_error(reader, path: pathlib.Path) -> object:
    try:
        return reader(path)
    except UserError as error:
        message = str(error)
        assert str(path) in message and "\n" not in message, message
        return None


contents = st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode), mutated())


@FUZZ
@given(content=contents, suffix=st.sampled_from(SUFFIXES))
def test_annotations(tmp_path, content, suffix):
    path = tmp_path / f"truth{suffix}"
    path.write_bytes(content)
    result = answer_or_user_error(read_annotations, path)
    assert result is None or isinstance(result, Annotations)
    if isinstance(result, Annotations):
        for spans in result.spans.values():
            assert all(0 <= span.start < span.end < 2**31 for span in spans)


@FUZZ
@given(content=contents, suffix=st.sampled_from(SUFFIXES))
def test_lists(tmp_path, content, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_bytes(content)
    result = answer_or_user_error(read_list, path)
    assert result is None or (isinstance(result, VideoList) and all(result.videos))


@FUZZ
@given(content=contents, suffix=st.sampled_from(SUFFIXES_OF_FEATURES))
def test_features(tmp_path, content, suffix):
    path = tmp_path / f"Abuse028_x264{suffix}"
    path.write_bytes(content)
    answer_or_user_error(lambda path: list(feature_paths(path)), path)
    if answer_or_user_error(read_shape, path) is not None:
        answer_or_user_error(load_file, path)


@settings(FUZZ, max_examples=60)
@given(listed=contents, truth=contents, array=contents, features=contents)
def test_checks_of_anything_end_in_a_report_or_one_error(tmp_path, listed, truth, array, features):
    folder = tmp_path / "features"
    folder.mkdir(exist_ok=True)
    for name, content in (("a.list", listed), ("t.txt", truth), ("gt.npy", array)):
        (tmp_path / name).write_bytes(content)
    (folder / "Abuse028_x264.npy").write_bytes(features)
    for options in (
        {"lists": [tmp_path / "a.list"]},
        {"lists": [tmp_path / "a.list"], "splits": ["train"], "taxonomy": UCF_CRIME},
        {"annotations": [tmp_path / "t.txt"]},
        {"annotations": [tmp_path / "t.txt"], "features": folder, "fps": 25.0},
        {"annotations": [tmp_path / "t.txt"], "features": folder, "fps": 1e-3, "unit": "seconds"},
        {"lists": [tmp_path / "a.list"], "features": folder, "gt": [tmp_path / "gt.npy"]},
    ):
        try:
            sections = run_checks(**options)
        except UserError as error:
            assert str(tmp_path) in str(error) and "\n" not in str(error)
            continue
        assert all(isinstance(section, Section) for section in sections)
        assert render(sections)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: pathlib.Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (pathlib.Path.touch, (self.mark,))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".txt", ".json", ".mat"])
def test_pickles_are_never_opened(tmp_path, suffix):
    mark = tmp_path / "unpickled"
    array = np.array([Bomb(mark)], dtype=object)
    for content in (pickle.dumps(Bomb(mark)), encode(array), encode_packed(a=array)):
        path = tmp_path / f"gt{suffix}"
        path.write_bytes(content)
        for reader in (read_annotations, read_list, read_shape, load_file):
            with pytest.raises(UserError):
                reader(path)
    assert not mark.exists()


def test_headers_that_promise_too_much(tmp_path):
    huge = encode(np.zeros(4)).replace(b"(4,)", b"(4000000000,)")
    (tmp_path / "gt.npy").write_bytes(huge)
    with pytest.raises(UserError, match=r"gt\.npy"):
        read_shape(tmp_path / "gt.npy")
    with zipfile.ZipFile(tmp_path / "gt.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", huge)
    with pytest.raises(UserError, match=r"gt\.npz"):
        read_annotations(tmp_path / "gt.npz")


def test_deep_json(tmp_path):
    for content in (
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
        '{"a": [[0, ' + "9" * 5000 + "]]}",
    ):
        (tmp_path / "t.json").write_text(content)
        with pytest.raises(UserError, match=r"t\.json"):
            read_annotations(tmp_path / "t.json")


@FUZZ
@given(
    damage=st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 600),
    compress=st.booleans(),
)
def test_damaged_mat_files(tmp_path, damage, length, compress):
    # A struct header with a field name and two numbers, damaged before it is compressed.
    record = bytearray(MAT_RECORD)
    for place, value in damage:
        record[place % len(record)] = value
    body = bytes(record[:length])
    packed = zlib.compress(body)
    if compress:
        body = struct.pack("<II", 15, len(packed)) + packed
    path = tmp_path / "a.mat"
    path.write_bytes(bytes(124) + b"\0\1IM" + body)
    answer_or_user_error(read_annotations, path)


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(array_class: int, shape: tuple[int, int], data: bytes, name: bytes = b"") -> bytes:
    flags = _element(6, struct.pack("<II", array_class, 0))
    return _element(14, flags + _element(5, struct.pack("<ii", *shape)) + _element(1, name) + data)


MAT_RECORD = _matrix(
    2,
    (1, 1),
    struct.pack("<HHi", 5, 4, 10)
    + _element(1, b"VideoName\0Anno\0\0\0\0\0\0EventName\0")
    + _matrix(4, (1, 5), _element(16, b"a.mp4"))
    + _matrix(6, (1, 2), _element(9, struct.pack("<dd", 3, 9)))
    + _matrix(4, (1, 5), _element(4, "Theft".encode("utf-16-le"))),
    b"Annotation_file",
)


def test_undamaged_mat_record(tmp_path):
    (tmp_path / "a.mat").write_bytes(bytes(124) + b"\0\1IM" + MAT_RECORD)
    (span,) = read_annotations(tmp_path / "a.mat").spans["a"]
    assert (span.start, span.end, span.category) == (3, 9, "Theft")
