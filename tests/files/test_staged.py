"""What a write that fails says, and what it leaves."""

import hashlib
import json
import os
import pathlib

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.files import staged
from refinevad_jax.files.staged import (
    is_device,
    require_writable,
    write_bytes,
    write_described,
    write_json,
)


def test_a_failing_write_names_the_file_and_leaves_the_earlier_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sub" / "a.json"
    write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_json(path, {"a": 2})
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in ("folder", "pipe", "file/a", "file/b/a"):
        with pytest.raises(OSError) as caught:
            write_bytes(tmp_path / path, b"")
        assert str(tmp_path) in str(caught.value.filename)
    with pytest.raises(IsADirectoryError):
        write_bytes(pathlib.Path(), b"")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_the_link_of_an_open_file_is_not_replaced(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As --output=/dev/stdout > file, by a user who may write to /dev."""
    (tmp_path / "redirected").write_text("kept")
    (tmp_path / "stdout").symlink_to(tmp_path / "redirected")
    monkeypatch.setattr(staged, "DEVICES", tmp_path.resolve())
    with (tmp_path / "redirected").open() as file:
        for path in (tmp_path / "stdout", pathlib.Path(f"/dev/fd/{file.fileno()}")):
            with pytest.raises(OSError, match="is a device or a pipe, not a file"):
                write_bytes(path, b"other")
    assert (tmp_path / "stdout").is_symlink()
    assert (tmp_path / "redirected").read_text() == "kept"


def test_an_output_is_tried_out_before_the_work(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    require_writable("output", tmp_path / "folder")
    require_writable("output", tmp_path / "new" / "below")
    for place, words in [
        ("file", "is a file; choose a folder"),
        ("file/below", "cannot be written (Not a directory); choose another folder"),
        ("a" * 300, "cannot be written (File name too long); choose another folder"),
    ]:
        with pytest.raises(UserError) as caught:
            require_writable("output", tmp_path / place)
        assert str(caught.value) == f"--output={tmp_path / place}: {words}"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    with pytest.raises(UserError, match="cannot be written"):  # no folder takes files there
        require_writable("output", pathlib.Path("/proc/refinevad"))


def test_a_described_file_is_never_without_its_json(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, beside = tmp_path / "model.bin", tmp_path / "model.bin.json"
    replace, renamed = pathlib.Path.replace, []

    def killed_after_one(one: pathlib.Path, other: pathlib.Path) -> pathlib.Path:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(other)
        return replace(one, other)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pathlib.Path, "replace", killed_after_one)
        write_described(path, b"new", {"step": 2})
    assert renamed == [beside] and list(tmp_path.iterdir()) == [beside]
    stated = write_described(path, b"new", {"step": 2})
    assert json.loads(beside.read_text()) == stated
    assert stated["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_described_file_that_cannot_be_written_changes_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"earlier")
    path.with_name("model.bin.json").mkdir()
    with pytest.raises(UserError, match=r"--output=.*model\.bin: cannot be written"):
        write_described(path, b"new", {})
    assert path.read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 2


def test_links_in_a_circle_are_no_device(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    assert not is_device(tmp_path / "one" / "file")
