"""From a list of videos to a detector, as docs/own-video.md has it; no encoder, no rate named."""

import json
import pathlib

import numpy as np
import pytest

from data_prep.extraction import jobs
from data_prep.extraction.visual import visual_work
from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.detection import run_detection
from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.encoder import NAMES, VisualEncoder
from refinevad_jax.training import loop
from tests.conftest import call, make_tiny_config, write_uneven
from tests.detection.conftest import WIDTH, coloured


def test_from_a_list_of_videos_to_a_detector(
    tmp_path: pathlib.Path, encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="pip install av")
    from refinevad_jax.encoders.video_writer import write_video

    quick = VisualEncoder(NAMES["i3d"], WIDTH, "", encoder.encode)
    for index in range(5):
        write_video(tmp_path / "clips" / f"v{index}.mp4", coloured(64, index), fps=20)
    # 80 frames in 9.4 s: segments begin after 0, 0.64, 1.28, 4 and 6 s.
    times = [*range(0, 1280, 40), *range(4000, 6000, 125), *range(6000, 9201, 100)]
    write_uneven(tmp_path / "clips" / "v5.mkv", times[: 32 + 16 + 32])
    for split, numbers in (("train", range(4)), ("val", (4, 5))):
        rows = [
            f"clips/v{i}.{'mkv' if i == 5 else 'mp4'},{('Normal', 'Fight')[i % 2]}" for i in numbers
        ]
        (tmp_path / f"{split}.csv").write_text("\n".join(["video,label", *rows]) + "\n")
    (tmp_path / "seconds.json").write_text('{"v4": [], "v5": [[4.0, 6.0]]}')
    (tmp_path / "taxonomy.json").write_text('{"name": "gate", "categories": ["Fight"]}')

    for split in ("train", "val"):
        planned = jobs.plan_jobs(jobs.read_videos(tmp_path / f"{split}.csv"), tmp_path / "features")
        assert jobs.run(planned, visual_work(quick, 1, 4)).failed == {}
    done = call(
        "data_prep.package",
        "--name=gate",
        f"--data_dir={tmp_path / 'data'}",
        f"--taxonomy={tmp_path / 'taxonomy.json'}",
        f"--list=train={tmp_path / 'train.csv'}",
        f"--list=val={tmp_path / 'val.csv'}",
        f"--features={tmp_path / 'features'}",
        f"--annotations={tmp_path / 'seconds.json'}",
    )
    assert done.returncode == 0, done.stderr
    assert read_info(str(tmp_path / "data"), "gate").encoder == NAMES["i3d"]
    steady, uneven = read_split(str(tmp_path / "data"), "gate", "val")
    assert (steady.fps, steady.num_frames) == (20, 64)
    assert uneven.spans.tolist() == [[32, 48, 0]]

    config = make_tiny_config(tmp_path / "data")
    config.data.dataset = "gate"
    config.train.update(batch_size=4, num_epochs=1)
    loop.train(config, tmp_path / "run")
    monkeypatch.setattr(run_detection, "load_visual_encoder", lambda name, weights: quick)
    detector = Detector(tmp_path / "run", "best")
    settings = run_detection.DetectionSettings()
    threshold = detector.threshold(0.0, None)
    inputs = [str(tmp_path / "clips" / "v5.mkv"), str(tmp_path / "features" / "clips" / "v4.npy")]
    run_detection.detect(detector, threshold, inputs, tmp_path / "found", settings)
    content = json.loads((tmp_path / "found" / "events.json").read_text())
    assert [video["encoder"] for video in content["videos"]] == [NAMES["i3d"]] * 2
    assert [video["fps"] for video in content["videos"]][1] == 20
    rows = (tmp_path / "found" / "v5.csv").read_text().splitlines()[1:]
    starts = [float(row.split(",")[3]) for row in rows]
    np.testing.assert_allclose(starts, [0, 0.64, 4, 6, 7.6], atol=0.01)
    # The features of a video know the same times.
    features = [str(tmp_path / "features" / "clips" / "v5.npy")]
    run_detection.detect(detector, threshold, features, tmp_path / "again", settings)
    again = (tmp_path / "again" / "v5.csv").read_text().splitlines()[1:]
    assert [row.split(",")[3:5] for row in again] == [row.split(",")[3:5] for row in rows]
