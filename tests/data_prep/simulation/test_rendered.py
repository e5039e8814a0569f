"""Rendered clips: the same again, truth to the frame, and the packed features of them."""

import collections
import json
import pathlib

import numpy as np
import pytest

from data_prep.dataset.videos import Span
from data_prep.simulation import clips as simulation_video
from data_prep.simulation.clips import TAXONOMY, Clip, plan_clips, render
from data_prep.simulation.rendered import SHIPPED, pack, read
from refinevad_jax.errors import UserError


def test_plan() -> None:
    clips = plan_clips(240, 0)
    assert len({clip.name for clip in clips}) == 240
    assert collections.Counter(c.split for c in clips) == {"train": 144, "val": 48, "test": 48}
    for split in ("train", "val", "test"):
        labels = collections.Counter(c.label for c in clips if c.split == split)
        assert labels["normal"] == sum(labels.values()) / 2
        assert len({labels[name] for name in TAXONOMY.categories}) == 1
    for clip in clips:
        assert 6 * 16 <= clip.num_frames < 13 * 16
        assert bool(clip.spans) == (clip.label != "normal")
        for span in clip.spans:
            assert 20 <= span.start < span.end <= clip.num_frames - 10
            assert span.category == clip.label


def test_a_larger_set_holds_the_smaller() -> None:
    larger = {clip.name: clip for clip in plan_clips(240, 3)}
    for clip in plan_clips(40, 3):
        assert larger[clip.name] == clip
    assert plan_clips(40, 3) != plan_clips(40, 4)


def short_clip(label: str, *, night: bool = False) -> Clip:
    span = Span(20, 50, label)
    return Clip("clip", "test", label, "street", night, 60, (span,), (0, 7, 1))


@pytest.mark.parametrize("label", TAXONOMY.categories)
def test_truth_to_the_frame(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody else and no noise, the anomaly begins and ends where the span says.

    Differences to the same clip without its story's second half would also move in calm stretches,
    so the motion energy is compared: inside against before.
    """
    monkeypatch.setattr(simulation_video, "bystanders", lambda *_, **__: ([], []))
    frames = np.stack(list(render(short_clip(label)))).astype(np.float32)
    assert frames.shape == (60, 240, 320, 3)
    smooth = frames.reshape(60, 30, 8, 40, 8, 3).mean(axis=(2, 4))
    change = np.abs(np.diff(smooth, axis=0)).max(axis=(1, 2, 3))
    # A collision's vehicles approach before the span; a fall's person walks.
    assert change[19:34].max() > 1.2 * change[:18].max()
    assert np.abs(smooth[48] - smooth[51]).max() > np.abs(smooth[50] - smooth[51]).max()


def test_same_clip_same_frames() -> None:
    clip = plan_clips(40, 0)[1]
    one, two = list(render(clip)), list(render(clip))
    np.testing.assert_array_equal(one, two)
    assert len(one) == clip.num_frames
    assert one[0].shape == (240, 320, 3) and one[0].dtype == np.uint8


def test_night_is_dark() -> None:
    day, night = (next(render(short_clip("fire", night=night))).mean() for night in (False, True))
    assert night < 0.75 * day


def write_features(folder: pathlib.Path, clips: list[Clip], *, encoder: str = "i3d") -> None:
    for i, clip in enumerate(clips):
        path = folder / clip.split / f"{clip.name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((clip.num_frames // 16, 4), i, np.float32))
        record = {"encoder": encoder, "weights_sha256": "0"}
        path.with_suffix(".json").write_text(json.dumps(record))


def test_packed_features_come_back(tmp_path: pathlib.Path) -> None:
    clips = plan_clips(20, 5)
    write_features(tmp_path, clips)
    pack(clips, tmp_path, tmp_path / "packed.npz")
    info, videos = read("demo", tmp_path / "packed.npz")
    assert info.simulated and info.encoder == "i3d" and info.width == 4
    assert [video.video_id for video in videos] == [clip.name for clip in clips]
    for i, (video, clip) in enumerate(zip(videos, clips, strict=True)):
        features = video.load_features()
        assert features.shape == (1, clip.num_frames // 16, 4) and (features == i).all()
        assert video.spans == (None if clip.split == "train" else clip.spans)


def test_packing_says_what_is_wrong(tmp_path: pathlib.Path) -> None:
    clips = plan_clips(20, 5)
    write_features(tmp_path, clips)
    np.save(tmp_path / "train" / "train_000.npy", np.zeros((1, 4)))
    with pytest.raises(UserError, match=r"train_000\.npy: shape \(1, 4\)"):
        pack(clips, tmp_path, tmp_path / "packed.npz")
    write_features(tmp_path, clips)
    write_features(tmp_path, clips[:1], encoder="clip")
    with pytest.raises(UserError, match="made by several encoders"):
        pack(clips, tmp_path, tmp_path / "packed.npz")
    (tmp_path / "test" / "test_000.npy").unlink()
    with pytest.raises(UserError, match=r"test_000\.npy: cannot be read"):
        pack(clips, tmp_path, tmp_path / "packed.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="not a packed feature file"):
        read("demo", tmp_path / "bad.npz")


def test_the_shipped_features_fit_the_plan() -> None:
    info, videos = read("demo")
    assert info.width == 1024
    assert all(np.isfinite(video.load_features()).all() for video in videos[:3])
    assert SHIPPED.stat().st_size < 8_000_000
