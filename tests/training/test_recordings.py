"""A run on features less the median of their recording: every command gives its network those."""

import copy
import dataclasses
import pathlib

import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, read_info, read_split
from refinevad_jax.data.recordings import from_recordings
from refinevad_jax.evaluation import run as evaluation
from refinevad_jax.evaluation import stream_cost
from refinevad_jax.evaluation.probes import Prober
from refinevad_jax.evaluation.scoring import Pooling, Scorer
from refinevad_jax.experiments.cross_validation import out_of_fold
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import read_run
from refinevad_jax.training import loop, members

QUIET = evaluation.Settings(num_curves=0, report=False, verbose=False)


def of_cameras(data_dir: str, dataset: str, split: str, **options: float) -> list[Bag]:
    """A split whose videos are of two cameras, which lie 30 apart."""
    found = []
    for index, bag in enumerate(read_split(data_dir, dataset, split, **options)):
        features = bag.features + np.float16(30 * (index // 2 % 2))
        name = f"cam{index // 2 % 2}"
        found.append(dataclasses.replace(bag, features=features, recording=name))
    return found


def test_every_command_takes_differences(
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in (members, evaluation, stream_cost):
        monkeypatch.setattr(module, "read_split", of_cameras)
    config, place = tiny_config, (tiny_config.data.data_dir, "tiny")
    config.data.normalization = "recording"
    config.train.num_epochs = 2
    loop.train(config, tmp_path / "run")
    out = capsys.readouterr().out
    assert "config.data.normalization='recording'" not in out
    # The deviation is that of differences, 1 but for events, and not the 15 of two cameras.
    run = read_run(tmp_path / "run")
    graphdef, params, _ = restore(run, tmp_path / "run", "best")
    assert 0.2 < np.asarray(params["modality_norm"]["deviation"]).max() < 3
    content = evaluation.evaluate(tmp_path / "run", split="test", step="best", settings=QUIET)
    assert content["inputs"].startswith("features less the median of their recording")
    bags = from_recordings(of_cameras(*place, "test"), (16, 8))
    scorer = Scorer(graphdef, pooling=Pooling.of(run.config.loss))
    expected = scorer(params, bags, columns=run.columns())
    with np.load(tmp_path / "run" / "eval" / "tiny-test-best" / "scores.npz") as arrays:
        logits = np.concatenate([one.logits for one in expected])
        found = np.log(arrays["scores"] / (1 - arrays["scores"]))
    slope, offset = np.polyfit(logits, found, 1)  # a calibration lies between
    np.testing.assert_allclose(found, slope * logits + offset, atol=1e-3)
    assert np.ptp(found) > 1e-2
    probed = Prober(run, run.info, of_cameras(*place, "test"))._bags
    np.testing.assert_array_equal(probed[0].features, bags[0].features)
    streams = stream_cost.evaluate_stream(
        tmp_path / "run", split="test", step="best", settings=QUIET
    )
    assert streams["inputs"].startswith("features less the median of the stream so far")
    offline = streams["stream"]["offline"]
    assert offline["frame_auc"] == content["frame_auc"]
    _out_of_fold_is_the_same_for_cameras_elsewhere(config)


def _out_of_fold_is_the_same_for_cameras_elsewhere(config: ConfigDict) -> None:
    place = (config.data.data_dir, "tiny")
    plain = read_split(*place, "train")
    cameras = of_cameras(*place, "train")
    near = [
        dataclasses.replace(bag, recording=other.recording)
        for bag, other in zip(plain, cameras, strict=True)
    ]
    own = copy.deepcopy(config)
    info = read_info(*place)
    logits = []
    for bags in (near, cameras):
        found = out_of_fold(
            own, info, bags, [bag.video_id for bag in bags], num_folds=2, num_repeats=1, num_steps=2
        )
        logits.append([one.video_logit for one in found.results[0]])
    # 30 more in float16 costs two decimals of a feature.
    np.testing.assert_allclose(*logits, atol=0.05)
