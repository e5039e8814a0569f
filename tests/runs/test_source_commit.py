"""The commit that results name."""

import pathlib
import shutil
import subprocess

import pytest

from refinevad_jax.runs.source_commit import source_commit


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_is_named_and_its_changes_are_marked(tmp_path: pathlib.Path) -> None:
    def git(*words: str) -> str:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *settings, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    assert source_commit(tmp_path) == ""  # no commit yet
    source_commit.cache_clear()
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]
    (tmp_path / "notes.txt").write_text("untracked files do not count")
    assert source_commit(tmp_path) == commit
    source_commit.cache_clear()
    (tmp_path / "code.py").write_text("x = 2\n")
    assert source_commit(tmp_path) == f"{commit}+"
    source_commit.cache_clear()


def test_no_checkout_and_a_folder_inside_another_have_none(tmp_path: pathlib.Path) -> None:
    assert source_commit(tmp_path) == ""
    assert source_commit(pathlib.Path(__file__).parent) == ""


def test_without_git_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert source_commit(tmp_path) == ""
