"""The line at the end of a test run that counts golden tests without their data."""

import types

import pytest

from tests.conftest import NO_DATA, SHARED_DATA, skipped_golden

GOLDEN = f"{NO_DATA} folder"


def reports(*reasons: str) -> list[types.SimpleNamespace]:
    return [types.SimpleNamespace(longrepr=("a.py", 1, f"Skipped: {one}")) for one in reasons]


@pytest.mark.parametrize(
    ("reasons", "folder", "line"),
    [
        ([], None, ""),
        (["pip install av"], None, ""),
        ([GOLDEN, "other", GOLDEN], None, "2 golden tests were skipped: {} is not set"),
        ([GOLDEN], "x", "1 golden test was skipped: {} names no folder (x)"),
    ],
)
def test_golden_tests_without_data_are_counted(
    reasons: list[str], folder: str | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SHARED_DATA, raising=False)
    if folder is not None:
        monkeypatch.setenv(SHARED_DATA, folder)
    assert skipped_golden(reports(*reasons)) == line.format(SHARED_DATA)
