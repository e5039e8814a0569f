"""CLIP's loading and arithmetic, on a tiny network of the same class with random weights."""

import json
import pathlib

import numpy as np
import pytest

from refinevad_jax.encoders import clip
from refinevad_jax.errors import UserError

open_clip = pytest.importorskip("open_clip", reason="pip install open_clip_torch")
torch = pytest.importorskip("torch", reason="pip install torch")

TINY = {
    "embed_dim": 12,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "patch_size": 56},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture
def weights(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    (tmp_path / "tiny-vit.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "tiny-vit.json")
    monkeypatch.setattr(clip, "ARCHITECTURE", "tiny-vit")
    torch.manual_seed(0)
    path = tmp_path / "weights.pt"
    torch.save(open_clip.create_model("tiny-vit").state_dict(), path)
    return path


def test_mean_of_the_frames_as_open_clip_sees_them(weights: pathlib.Path) -> None:
    from PIL import Image

    encoder = clip.load_encoder(weights)
    assert (encoder.name, encoder.width) == (clip.NAME, 12)
    segments = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224, 3), np.uint8)
    found = encoder.encode(segments)
    assert found.shape == (2, 12) and found.dtype == np.float32
    model, _, transform = open_clip.create_model_and_transforms("tiny-vit", str(weights))
    model.eval()
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(one)) for one in segments[1]])
        expected = model.encode_image(pixels).mean(dim=0)
    np.testing.assert_allclose(found[1], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_sentences_as_open_clip_embeds_them(weights: pathlib.Path) -> None:
    encoder = clip.load_text_encoder(weights)
    assert encoder.name == clip.TEXT_NAME and len(encoder.weights_sha256) == 64
    sentences = ["two men push each other", "a car burns", "two men push each other " * 20]
    found = encoder.encode(sentences)
    assert found.shape == (3, 12) and found.dtype == np.float32
    model, _, _ = open_clip.create_model_and_transforms("tiny-vit", str(weights))
    model.eval()
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("tiny-vit")(sentences))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    many = encoder.encode(["a car burns"] * 70)  # more than one call
    np.testing.assert_allclose(many, np.tile(found[1], (70, 1)), rtol=1e-3, atol=1e-4)
    assert encoder.encode([]).shape == (0, 12)


def test_features_of_a_video_from_its_sentences(
    weights: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("av", reason="pip install av")
    from data_prep.extraction import jobs as jobs_lib
    from data_prep.extraction.text import text_work
    from refinevad_jax.encoders.loading import load_text_encoder
    from refinevad_jax.encoders.video_writer import write_video

    write_video(tmp_path / "v" / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 33, fps=16)
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nA car burns.\n")
    encoder = load_text_encoder("clip_text", str(weights))
    jobs = jobs_lib.plan_jobs(jobs_lib.read_videos(tmp_path / "v"), tmp_path / "out")
    done = jobs_lib.run(jobs, text_work(encoder, tmp_path))
    assert (done.done, done.failed) == (1, {})
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.shape == (2, 12) and not found[1].any()
    np.testing.assert_allclose(found[0], encoder.encode(["A car burns."])[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="clip_text needs --weights"):
        load_text_encoder("clip_text", "")


def test_wrong_weights(weights: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        clip.load_encoder(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_text("not weights")
    with pytest.raises(UserError, match="not weights of CLIP"):
        clip.load_encoder(tmp_path / "bad.pt")
