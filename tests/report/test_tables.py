"""The results page from metrics.json files."""

import json
import pathlib

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.metrics import names
from refinevad_jax.report import tables
from refinevad_jax.report.tables import LAST_STEP, library_facts, result_table, spread
from refinevad_jax.runs.evaluations import read_metrics
from tests.conftest import call


def folder(path: pathlib.Path, seed: int | None, auc: float, **changes: object) -> pathlib.Path:
    content = {
        "dataset": "d", "split": "val", "truth_hash": "0" * 64, "num_frames": 1600,
        "num_segments": 32, "selection": "video_auc", "end_convention": "exclusive",
        "frame_auc": auc, "frame_ap": 0.5, "anomalous_frame_auc": 0.75, "video_auc": 1.0,
        "category_accuracy": None, "seed": seed, "simulated": True, "num_videos": 4,
        "num_videos_with_truth": 3, "num_positive_frames": 16, "step": 7,
        "step_chosen_as": "best",
    }  # fmt: skip
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps(content | changes))
    return path


def table(folders: list[pathlib.Path]) -> str:
    return result_table({"full": {path: read_metrics(path) for path in folders}})


def test_mean_and_spread_by_hand(tmp_path: pathlib.Path) -> None:
    text = table([folder(tmp_path / str(i), i, 0.8 + i / 10) for i in range(2)])
    assert "| full | 32 segments | 0, 1 | 0.850 ± 0.071 | 0.500 ± 0.000 |" in text
    assert "| – |" in text
    assert "simulated" in text
    assert spread([0.5]) == "0.500"


def test_seeds_of_different_truth_do_not_share_a_row(tmp_path: pathlib.Path) -> None:
    folders = [folder(tmp_path / "a", 0, 0.5), folder(tmp_path / "b", 1, 0.5, truth_hash="x")]
    with pytest.raises(UserError, match="truth_hash"):
        table(folders)


def test_several_commits_are_named(tmp_path: pathlib.Path) -> None:
    text = table([folder(tmp_path / str(i), i, 0.5, commit=f"c{i}") for i in range(2)])
    assert "trained by commit c0, c1." in text


def test_scores_that_were_given_have_no_seed_and_no_commit(tmp_path: pathlib.Path) -> None:
    given = {"step": None, "step_chosen_as": None, "scored_by": "scores of theirs.npz"}
    text = table([folder(tmp_path / "a", None, 0.5, **given)])
    assert "| full | 32 segments | – |" in text and text.endswith("; scores of theirs.npz.\n")
    assert "over the seeds" not in text
    text = table([folder(tmp_path / "b", None, 0.5, **given, inputs="features less a median")])
    assert text.endswith("; scores of theirs.npz; features less a median.\n")


@pytest.mark.parametrize(
    ("chosen", "selection", "words"),
    [
        ("best", "video_auc", "; checkpoint best by video_auc, steps 7;"),
        ("best", LAST_STEP, "; the last step, steps 7;"),
        ("last", "video_auc", "; the last step, steps 7;"),
        ("7", "video_auc", "; step 7, steps 7;"),
    ],
)
def test_the_choice_of_the_checkpoint_in_words(
    tmp_path: pathlib.Path, chosen: str, selection: str, words: str
) -> None:
    text = table([folder(tmp_path / "a", 0, 0.5, step_chosen_as=chosen, selection=selection)])
    assert words in text


def test_versions_of_the_training_are_named_where_they_differ() -> None:
    here = {"refinevad_jax": "0.1.0", "commit": "c1", "python": "3.13.0", "jax": "0.10.2"}
    computed = ("Computed with", "refinevad_jax 0.1.0, python 3.13.0, jax 0.10.2")
    same = {"versions": here, "trained_versions": here | {"commit": "c0"}}
    assert library_facts(same) == [computed, ("Trained with", "the same versions")]
    other = {"versions": here, "trained_versions": here | {"jax": "0.11.2"}}
    assert library_facts(other) == [computed, ("Trained with", "jax 0.11.2")]
    given = {"versions": here, "trained_versions": None}
    assert library_facts(given) == [computed, ("Trained with", "not known")]
    assert library_facts({})[0] == ("Computed with", "not known")


def test_a_folder_without_results_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json"):
        table([tmp_path])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--output={}/page.md", "--row=a={}/run", "--row=a={}/run"], "there is a row 'a' already"),
        (["--output={}", "--row=a={}/run"], "Is a directory; name a file in it"),
        (["--output={}/page.md", "--row=a={}/run", "--before={}/latin"], "not UTF-8 text"),
    ],
)
def test_misuse_of_the_command_is_one_line(
    words: list[str], reason: str, tmp_path: pathlib.Path
) -> None:
    folder(tmp_path / "run", 0, 0.5)
    (tmp_path / "latin").write_bytes("geprüft".encode("latin-1"))
    ended = call("refinevad_jax.results", *(word.format(tmp_path) for word in words))
    assert ended.returncode == 2 and reason in ended.stderr, ended.stderr
    assert ended.stderr.count("\n") == 1 and not (tmp_path / "page.md").exists()


def test_columns_never_run_together() -> None:
    """Values of 100 and -100 percent and long names keep their distance."""
    at = {"at": [1.0, -1.0, 1.0], "mean": 1.0}
    rules = {rule: {key: at for key in names.CONVENTIONS} for rule in names.RULES}
    found = {"iou_thresholds": [0.1, 0.2, 0.3], "no_categories": "", **rules}
    header, *lines = tables._localization_lines(found)
    assert header.split() == ["mAP@IoU,", "percent", "0.1", "0.2", "0.3", "mean"]
    for line in lines:
        assert line.split()[-4:] == ["100.00", "-100.00", "100.00", "100.00"]
    assert len({len(line) for line in [header, *lines]}) == 1
    rows = tables.aligned([["a", "1"], ["x" * 60, "-100.00"], ["", "–"]])
    assert [row.split() for row in rows] == [["a", "1"], ["x" * 60, "-100.00"], ["–"]]
    assert tables.aligned([]) == []
