"""The notebook runs from its first cell to its last, and is stored without outputs."""

import json
import pathlib
from typing import Any

import pytest

NOTEBOOK = pathlib.Path(__file__).parents[2] / "docs" / "quickstart.ipynb"


def cells() -> list[str]:
    """The code of the notebook."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in found)
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(cells()):
        code = code.replace("num_epochs: int = 3", "num_epochs: int = 1")
        exec(compile(code, f"{NOTEBOOK.name}, code cell {number}", "exec"), names)
    drawn = [axes for number in pyplot.get_fignums() for axes in pyplot.figure(number).axes]
    pyplot.close("all")
    assert len(drawn) == 4 and all(axes.lines for axes in drawn)
    assert set(names["runs"]) == {"adaptive", "none"}
    assert all(rows[-1]["video_auc"] > 0.6 for rows in names["runs"].values())
