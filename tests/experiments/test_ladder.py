"""The ablation ladder: its rows, its runs, its table."""

import csv
import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import own, ucf_text
from refinevad_jax import config as config_lib
from refinevad_jax.errors import UserError
from refinevad_jax.experiments import grid, ladder_rows, tuning
from refinevad_jax.metrics import names
from refinevad_jax.report import ladder_table
from refinevad_jax.report.ladder_table import LadderRow
from refinevad_jax.report.tables import Block
from refinevad_jax.training import loop
from tests.conftest import call


def test_every_row_is_a_valid_configuration_that_differs_from_the_others() -> None:
    config = config_lib.default()
    rows = ladder_rows.ladder(config, ["visual", "text"])
    configs = [ladder_rows.changed(config, row) for row in rows]
    for changed in configs:
        config_lib.validate(changed)
    assert len({changed.to_json() for changed in configs}) == len(rows)
    names = [row.name for row in rows]
    assert names[:5] == ["base", "base-motar", "base-injection", "base-injection-soft", "full"]
    assert {"without-label-injection", "frozen-prototypes", "dead-gate", "only-text"} <= set(names)
    # The configuration's own choices are full itself and make no row of their own.
    assert {"folding-4", "tau-1", "query-video", "mil-ranking"}.isdisjoint(names)
    assert {"folding-2", "folding-8", "tau-0.2", "query-segment", "mil-bce"} <= set(names)


def test_rows_that_come_to_the_same_run_once() -> None:
    config = config_lib.default()
    config.model.num_layers = 0
    names = [row.name for row in ladder_rows.ladder(config, ["visual"])]
    # Without a Transformer MoTAR is its shift.
    assert {"no-shift", "without-transformer"}.isdisjoint(names)
    assert {"without-motar", "layers-1", "full"} <= set(names)


def test_rows_that_a_linear_scorer_does_not_read_are_left_out_with_a_reason() -> None:
    config = own.get_config()
    config.update_from_flattened_dict(tuning.LINEAR)
    names = [row.name for row in ladder_rows.ladder(config, ["features"])]
    assert names[:3] == ["base", "full", "without-category-loss"]
    assert {"categories-encoder", "top-k-16"} <= set(names)
    said = ladder_rows.left_out(config, ["features"])
    assert "config.model.scorer_width=0" in said and "the same network as full: base-inj" in said
    for name in ("constant-shift", "tau-0.2", "hard-injection", "layers-1", "label-injection"):
        assert name not in names
    assert "dead-gate" in said and "frozen-prototypes" in said and "mil-bce" not in said
    with pytest.raises(UserError, match=r"'dead-gate' here: nothing reads .* network of full;"):
        ladder_rows.ladder(config, ["features"], ["dead-gate"])
    # The categories read MoTAR, so that its rows say something again; L_GMM reads the weights.
    config.model.update(category_input="encoder", shift="adaptive")
    config.loss.smoothing_weight = 0.1
    names = [row.name for row in ladder_rows.ladder(config, ["features"])]
    assert {"dead-gate", "layers-1", "tau-0.2", "frozen-prototypes"} <= set(names)
    assert "label-injection" not in names
    assert ladder_rows.left_out(config_lib.default(), ["visual"]) == ""


def test_the_rows_are_listed_without_the_data_set(tmp_path: pathlib.Path) -> None:
    words = ["--config=configs/ucf_text.py", f"--config.data.data_dir={tmp_path}", "--list"]
    ended = call("refinevad_jax.ladder", *words)
    assert ended.returncode == 0, ended.stderr
    heading, *rows = ended.stdout.splitlines()[:-2]
    place = heading.index("meaning"), heading.index("changes")
    names = [row.name for row in ladder_rows.ladder(ucf_text.get_config(), [])]
    assert [row.split()[0] for row in rows] == names
    for row in rows:
        assert row[: place[0]].endswith("  ") and row[place[0] : place[1]].strip().endswith(".")
    changed = next(row for row in rows if row.startswith("constant-shift"))
    assert changed[place[1] :] == "model.shift=constant"
    assert "adds a row only-NAME" in ended.stdout


def test_an_unknown_row_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"no row 'bass' here; there are base, base-motar"):
        ladder_rows.ladder(config_lib.default(), ["visual"], ["bass"])


def row(name: str, part: str, aucs: list[float], spread: float = 0.01) -> LadderRow:
    """A row with a seed per AUC; on draws of videos all rows move together."""
    moves = np.concatenate([[0], np.random.default_rng(0).normal(0, spread, 500)])
    contents = [
        {
            "seed": seed,
            "frame_auc": auc,
            "frame_ap": auc / 2,
            "category_accuracy": None,
            "localization": {"proposals": {"anomaly": {"mean": auc / 4}}},
        }
        for seed, auc in enumerate(aucs)
    ]
    drawn = np.array([auc + moves for auc in aucs])
    return LadderRow(name, part, 88.89, contents, {"frame_auc": drawn, "frame_ap": drawn / 2})


def test_verdicts_say_what_helps_hurts_and_shows_nothing() -> None:
    rows = [
        row("full", "", [0.90, 0.91]),
        row("a", "part a", [0.70, 0.71]),
        row("b", "part b", [0.99, 1.00]),
        row("c", "part c", [0.95, 0.89]),
    ]
    found = ladder_table.verdicts(rows, full="full")
    assert [line.split("; ")[0].split(", ")[-1] for line in found] == [
        "helps",
        "hurts",
        "no effect shown",
    ]
    assert found[0].endswith("mAP@IoU +0.050, no interval") and "frame AP +0.100 [" in found[0]
    assert "frame AUC +0.200 [" in found[0]


def test_the_interval_covers_seeds_and_videos() -> None:
    def width(one: LadderRow, other: LadderRow) -> float:
        metric = names.METRICS[0]
        text = ladder_table.difference(metric, one, other)[0].split("[")[1]
        low, high = map(float, text.rstrip("]").split(", "))
        return high - low

    same, other = row("a", "", [0.9, 0.9]), row("b", "", [0.8, 0.8])
    spread = row("c", "", [0.88, 0.92])
    assert width(same, other) == pytest.approx(0, abs=1e-3)  # the draws move both alike
    # 4.303 standard errors, of a t with 2 degrees of freedom, to each side.
    error = np.sqrt(0.0008 / 2)
    assert width(spread, other) == pytest.approx(2 * 4.303 * error, rel=0.25)
    undefined = dataclasses.replace(same, contents=[{}, {}])
    assert ladder_table.difference(names.METRICS[0], undefined, other) == ("", "")


def test_the_ladder_runs_resumes_and_writes_its_table(
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_config.num_seeds = 2
    rows = ladder_rows.ladder(tiny_config, ["visual", "text"], ["base"])
    assert [row.name for row in rows] == ["base", "full"]
    with pytest.raises(UserError, match="has no split 'nosuch'"):  # before any training
        grid.run_rows(tiny_config, rows, tmp_path / "none", split="nosuch")
    assert not (tmp_path / "none").exists()
    found = grid.run_rows(tiny_config, rows, tmp_path, split="val")
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    again = grid.run_rows(tiny_config, rows, tmp_path, split="val")
    assert [result.contents for result in again] == [result.contents for result in found]
    assert found[0].drawn["frame_auc"].shape == (2, 1001)
    assert "done before" in capsys.readouterr().out
    table = [
        LadderRow(row.name, row.part, row.paper_auc, result.contents, result.drawn)
        for row, result in zip(rows, found, strict=True)
    ]
    probes = Block("What the parts do", ["probe"], [["gate < 1"]], "on val", ["level & low"])
    text = ladder_table.write(
        tmp_path, table, base="base", full="full", probes=probes, note="Rows left out: x."
    )
    assert "| base | " in text and "84.60 %" in text and "seeds 0, 1" in text
    assert text.endswith(probes.markdown()) and "- level & low\n" in probes.markdown()
    with (tmp_path / "ladder.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["seed"]) for line in lines] == [
        ("base", "0"),
        ("base", "1"),
        ("full", "0"),
        ("full", "1"),
    ]
    page = (tmp_path / "ladder.html").read_text(encoding="utf-8")
    assert "Ablation ladder" in page and "gate &lt; 1" in page and "level &amp; low" in page
    assert "Rows left out: x." in text and "Rows left out: x." in page
    for seed in (0, 1):
        stored = tmp_path / "full" / f"seed{seed}" / "eval" / "tiny-val-best" / "metrics.json"
        stored.write_text(json.dumps(json.loads(stored.read_text()) | {"truth_hash": "0" * 64}))
    with pytest.raises(UserError, match="another truth than base; evaluate it again"):
        grid.run_rows(tiny_config, rows, tmp_path, split="val")


def test_a_row_evaluated_in_the_middle_of_its_training_is_not_done(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    run = tmp_path / "full"
    shutil.copytree(trained, run)
    assert grid.best_of_finished(tiny_config, run) is not None
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:-1]))
    assert grid.best_of_finished(tiny_config, run) is None


def test_rows_of_other_settings_are_refused(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, trained: pathlib.Path
) -> None:
    tiny_config.optimizer.learning_rate = 1e-2
    (tmp_path / "full").symlink_to(trained)
    rows = ladder_rows.ladder(tiny_config, ["visual", "text"], ["base"])[1:]
    with pytest.raises(UserError, match="learning_rate was"):
        grid.run_rows(tiny_config, rows, tmp_path, split="val")
