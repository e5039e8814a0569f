"""Feature files in the formats that people bring: each is read right, or refused with its cure."""

import io
import json
import pathlib
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.files import feature_files
from refinevad_jax.files.feature_files import feature_paths, load_file, read_shape, transposed

X = np.arange(70 * 8, dtype=np.float32).reshape(70, 8)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def safetensors(**arrays: np.ndarray) -> bytes:
    from safetensors.numpy import save

    return save(arrays)


def mat(*, compress: bool = False, **arrays: np.ndarray) -> bytes:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    parts = [b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"]
    for name, array in arrays.items():
        body = element(6, struct.pack("<II", 7, 0))
        body += element(5, struct.pack(f"<{array.ndim}i", *array.shape))
        body += element(1, name.encode()) + element(7, array.astype("f4").tobytes(order="F"))
        whole = element(14, body)
        if compress:
            packed = zlib.compress(whole)
            whole = struct.pack("<II", 15, len(packed)) + packed
        parts.append(whole)
    return b"".join(parts)


def table(delimiter: str, header: str = "", numbered: int = 0) -> bytes:
    rows = [delimiter.join(map(str, row)) for row in X.tolist()]
    if numbered:
        rows = [f"{numbered * i}{delimiter}{row}" for i, row in enumerate(rows)]
    return "\n".join([*filter(None, [header]), *rows]).encode()


HEADER = ",".join(f"f{i}" for i in range(8))
COUNTED = ",".join(map(str, range(8)))


@pytest.mark.parametrize(
    ("name", "content", "remark"),
    [
        ("a.npy", npy(X), ""),
        ("a.npy", npy(X.astype(">f4")), ""),
        ("a.npy", npy(X.astype("f8")), ""),
        ("a.npy", npy(np.asfortranarray(X)), ""),
        ("a.npy", npy((X % 100).astype("i1")), "whole numbers"),
        ("a.npy", npy(X.astype("i8")), "whole numbers"),
        ("a.npy", npy(X[..., None]), "axes of length 1"),
        ("a.npy", npy(X[..., None, None]), "axes of length 1"),
        ("a.npy", npy(X[:, None, None]), "axes of length 1"),
        ("a.npy", npy(X[0]), "one vector"),
        ("a.npz", npz(arr_0=X), ""),
        ("a.npz", npz(rgb=X, fps=25, frame=np.arange(70)), "other arrays"),
        ("a.npz", npz(features=X, flow=X, names=np.array([{}, {}])), "other arrays"),
        ("a.npy", npz(arr_0=X), ""),
        ("a.mat", mat(feat=X), ""),
        ("a.mat", mat(compress=True, feat=X, n=X[:1, :1]), ""),
        ("a.safetensors", safetensors(features=X, fps=X[:1, :1]), "other arrays"),
        ("a.txt", table(" "), ""),
        ("a.txt", table("\t"), ""),
        ("a.txt", table(","), ""),
        ("a.csv", table(",").replace(b"\n", b"\r\n"), ""),
        ("a.csv", table(";"), ""),
        ("a.csv", table(",", HEADER), "headings"),
        ("a.csv", table(",", COUNTED), "headings"),
        ("a.csv", table(",", f",{COUNTED}", numbered=1), "headings"),
        ("a.csv", table(",", f"frame,{HEADER}", numbered=16), "headings"),
        ("a.csv", table(",", f"start_time,{HEADER}", numbered=7), "headings"),
        ("a.csv", table(",", f"Label,{HEADER}", numbered=1), "headings"),
    ],
)
def test_formats(tmp_path: pathlib.Path, name: str, content: bytes, remark: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert list(feature_paths(tmp_path)) == [path]
    header = read_shape(path)
    expected = X[:1] if header.shape == (1, 8) else X % 100 if header.dtype == np.int8 else X
    for mapped in (False, True):
        np.testing.assert_array_equal(load_file(path, mapped=mapped), expected)
    assert header.shape == expected.shape
    if remark:
        assert any(what.startswith(remark) for what in header.remarks), header.remarks


ZIPPED = io.BytesIO()
with zipfile.ZipFile(ZIPPED, "w") as archive:
    archive.writestr("archive/data.pkl", b"")
TORCH = ZIPPED.getvalue()
GZIP = b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", npy(X > 3), "bool of shape (70, 8); expected numbers"),
        ("a.npy", npy(X.astype("c8")), "complex64 of shape"),
        ("a.npy", npy(X.astype("U")), "expected numbers of shape"),
        ("a.npy", npy(np.float32(3)), "float32 of shape (); expected numbers"),
        ("a.npy", npy(X[:0]), "no segments (shape (0, 8))"),
        ("a.npy", npy(np.ones((5, 7, 7, 8))), "array.mean(axis=(1, 2))"),
        ("a.npy", npy(np.ones((5, 8, 7, 7))), "array.mean(axis=(2, 3))"),
        ("a.npy", npy(np.ones((5, 8, 2, 7, 7))), "array.mean(axis=(2, 3, 4))"),
        ("a.npy", npy(np.ones((5, 2, 7, 7, 8))), "array.mean(axis=(1, 2, 3))"),
        ("a.npy", npy(X) + npy(X), "bytes more than shape (70, 8) float32 takes"),
        ("a.npy", npy(X)[:300], "cut short"),
        ("a.npy", npy(np.array([{}, X], object)), "numpy.load(f, allow_pickle=True).tolist()"),
        ("a.npy", b"", "it is empty (0 bytes)"),
        ("a.npy", b"<!DOCTYPE html><html>log in", "it is a web page"),
        ("a.npy", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("a.npy", GZIP, "unpack it with gunzip"),
        ("a.npy", TORCH, "torch.load(f, map_location='cpu', weights_only=True)"),
        ("a.pt", TORCH, "/*.pt')]"),
        ("a.pkl", pickle.dumps([1.0]), "pickle.load(open(f, 'rb'))"),
        ("a.csv", "1,2".encode("utf-16"), "text in UTF-16, not a feature file; save it as UTF-8"),
        ("a.txt", b"1 2\n3 x\n", "could not convert string 'x'"),
        ("a.npz", npz(arr_0=X)[:900], ".npz that is cut short"),
        ("a.npz", npz(a=np.array([{}])), "an object array"),
        ("a.npz", npz(a=np.array(3), b=np.array(4)), "it holds a int64 (), b int64 ()"),
        ("a.mat", b"\0\0\0\0" * 9, "its bytes are not those of .mat"),
        ("a.mat", mat(feat=X)[:900], "not a MAT-file that is read here"),
        ("a.safetensors", safetensors(a=X)[:900], "not a safetensors file"),
    ],
)
def test_refusals(tmp_path: pathlib.Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert list(feature_paths(tmp_path)) == [path]
    with pytest.raises(UserError) as caught:
        read_shape(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and message in said and "\n" not in said, said


def test_bfloat16_is_named(tmp_path: pathlib.Path) -> None:
    facts = {"a": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}
    head = json.dumps(facts).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))
    with pytest.raises(UserError, match=r"a is of type BF16, .* save it as float16"):
        read_shape(path)


@pytest.mark.parametrize(
    ("name", "pack"), [("all.npz", npz), ("all.safetensors", safetensors), ("all.mat", mat)]
)
def test_videos_in_one_file(tmp_path: pathlib.Path, name: str, pack: Callable[..., bytes]) -> None:
    (tmp_path / name).write_bytes(pack(v1=X, v2=X[:9] + 1))
    for root in (tmp_path, tmp_path / name):
        paths = sorted(feature_paths(root))
        assert paths == [tmp_path / name / "v1", tmp_path / name / "v2"]
    assert read_shape(paths[1]).shape == (9, 8)
    np.testing.assert_array_equal(load_file(paths[1]), X[:9] + 1)
    assert {feature_files.file_of(path) for path in paths} == {tmp_path / name}


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (["Fight/1", "Fight/2", "NonFight/1"], ["Fight/1", "Fight/2", "NonFight/1"]),
        (["Fight/1", "Fire/2"], ["Fight/1", "Fire/2"]),
        (["v1/x", "v2/x"], ["v1", "v2"]),
        (["train/v1/features", "test/v2/features"], ["test/v2", "train/v1"]),
    ],
)
def test_classes_in_one_file(
    tmp_path: pathlib.Path, arrays: list[str], expected: list[str]
) -> None:
    path = tmp_path / "all.npz"
    path.write_bytes(npz(**dict.fromkeys(arrays, X)))
    assert sorted(feature_paths(path)) == [path / name for name in expected]


def test_which_array_belongs_to_which_video(tmp_path: pathlib.Path) -> None:
    for video in ("v1", "v2"):
        (tmp_path / f"{video}.npz").write_bytes(npz(rgb=X, flow=X))
    with pytest.raises(UserError, match="both hold an array 'rgb'"):
        list(feature_paths(tmp_path))
    (tmp_path / "v1.npz").unlink()
    (tmp_path / "v2.npz").write_bytes(npz(**{"/v1": X, "v2": X}))
    with pytest.raises(UserError, match="array '/v1' is not named as a video"):
        list(feature_paths(tmp_path))


def test_tables_and_pickles_count_where_there_is_nothing_else(tmp_path: pathlib.Path) -> None:
    names = []
    for name in ("a.pt", "b.csv", "c.npy"):
        (tmp_path / name).write_bytes(b"1,2\n")
        names = [path.name for path in feature_paths(tmp_path)]
        assert names == [name]


def test_hdf5(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90))
    with monkeypatch.context() as without:
        without.setitem(__import__("sys").modules, "h5py", None)
        with pytest.raises(UserError, match=r"which h5py reads: pip install .refinevad_jax\[h5\]"):
            read_shape(path)
    h5py = pytest.importorskip("h5py")
    with pytest.raises(UserError, match="not an HDF5 file, or damaged"):
        read_shape(path)
    layouts: dict[str, dict[str, np.ndarray]] = {
        "all.h5": {"features": X, "fps": X[0]},
        "all.h5/v1": {"v1": X, "v2": X},
        "all.h5/v1 ": {"v1/features": X, "v1/summary": X.T, "v2/features": X},
        "all.h5/Abuse/v1": {"Abuse/v1": X, "Abuse/v2": X},
        "all.h5/Abuse/v3": {"Abuse/v3": X, "Normal/v4": X, "Normal/v5": X},
        "all.h5/v1  ": {"v1/rgb": X, "v2/rgb": X},
    }
    for expected, content in layouts.items():
        with h5py.File(path, "w") as file:
            for name, array in content.items():
                file[name] = array
        first = min(feature_paths(tmp_path))
        assert first == tmp_path / expected.strip()
        np.testing.assert_array_equal(load_file(first), X)
    with h5py.File(path, "w") as file:
        file["a/rgb"] = file["a/flow"] = file["b/rgb"] = file["b/flow"] = X
    with pytest.raises(UserError, match="name the features of each video 'features'"):
        list(feature_paths(tmp_path))
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        file["feat"] = X.T  # MATLAB stores the last axis first
    content = (tmp_path / "new.mat").read_bytes()
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b"\0") + content[512:])
    np.testing.assert_array_equal(load_file(tmp_path / "new.mat"), X)


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([(1024, 9), (1024, 70)], True),
        ([(1024, 32), (1024, 32)], True),
        ([(1024, 1), (1024, 1)], True),
        ([(9, 1024), (70, 1024)], False),
        ([(32, 1024), (32, 1024)], False),
        ([(512, 1024), (512, 1024)], False),
        ([(3, 6), (3, 5)], False),
        ([(1024, 9)], False),
        ([(10, 9, 1024), (10, 70, 1024)], False),
        ([(9, 10, 1024), (70, 10, 1024)], False),
        ([(10, 1024, 9), (10, 1024, 70)], True),
        ([(1, 1024, 32), (1, 1024, 32)], True),
    ],
)
def test_transposed(shapes: list[tuple[int, ...]], found: bool) -> None:
    named = {pathlib.Path(f"{i}.npy"): shape for i, shape in enumerate(shapes)}
    assert bool(transposed(named)) == found
