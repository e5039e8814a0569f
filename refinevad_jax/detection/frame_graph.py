"""A run and its encoder as one graph, from the frames of a video to its scores.

    exported = jax.export.deserialize(bytearray(open("model.bin", "rb").read()))
    exported.call(frames)["scores"]     # uint8 [T, 16, 224, 224, 3] to [T]

The encoder is I3D in its direct form, which gives the same on every device. Detection on processors
takes Winograd's form, whose features differ by 1e-5 of the largest; runs keep features in float16,
so about one in 300 of them is then the next number in float16. Axis letters: N crops, T segments.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export as jax_export

from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.crops import CROP_SIZE, NUM_CROPS, PLACES, SHORT_SIDE
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES, VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scoring import calibrated
from refinevad_jax.files.staged import require_writable, write_described
from refinevad_jax.runs import exported
from refinevad_jax.runtime.compiler import compiler_options

Encode = Callable[[jax.Array], jax.Array]
Graph = Callable[[jax.Array], dict[str, jax.Array]]

SEGMENT = (FRAMES_PER_SEGMENT, CROP_SIZE, CROP_SIZE, 3)
LONGEST = exported.LONGEST - 1  # one more is padding, because the network needs two
# Segments of a video, and how many of them detection encodes at a time.
TRIED = ((1, 1), (2, 4), (9, 4))
# How far an output may be from detection's. It is more than for a graph of the network alone: the
# features are rounded to float16, and MoTAR exchanges a whole number of channels.
TOLERANCE = 1e-2
OUTPUTS = {
    "logits": "[segments]; see scoring",
    "scores": "[segments] sigmoid(logits), not calibrated",
    "shift_ratio": "[segments]",
}
OUTPUTS_OF_CORE = {"category_probs": "[categories]", "category_weights": "[categories]"}


def export(workdir: pathlib.Path, output: pathlib.Path, *, step: str) -> dict[str, Any]:
    """Writes the graph as StableHLO and, beside it, its description as JSON, which is returned.

    Any number of segments from 1 to 2047. Before the file is written it is compared with detection
    on made-up videos. Raises UserError for a run that cannot be exported so, if the graph does not
    agree, or if the file cannot be written.
    """
    require_writable("output", output.parent)
    detector = Detector(workdir, step)
    _require_supported(detector)
    encoder, encode = load_i3d()
    num_crops = detector.run.num_crops
    detector.check("frames", encoder.width, encoder.name, num_crops)
    crops = (num_crops,) if num_crops > 1 else ()
    (segments,) = jax_export.symbolic_shape(
        "segments", constraints=["segments >= 1", f"segments <= {LONGEST}"]
    )
    frames = jax.ShapeDtypeStruct((segments, *crops, *SEGMENT), np.uint8)
    with exported.without_source_paths():
        graph = jax_export.export(
            jax.jit(scores_of_frames(detector, encode)), platforms=exported.PLATFORMS
        )(frames)
    content = graph.serialize()
    print("compiling the graph and comparing it with detection: a minute or more", flush=True)
    check = _check(detector, encoder, jax_export.deserialize(content).call)
    description = _describe(detector, frames.shape) | {"check": check}
    return write_described(output, bytes(content), description)


def load_i3d() -> tuple[VisualEncoder, Encode]:
    """I3D as detection calls it, and its direct form to be traced: [B, 16, 224, 224, 3] to [B, D].

    Raises UserError if its weights are missing.
    """
    from refinevad_jax.encoders import i3d

    units = {name: of for name, of in i3d.load_weights().items() if not name.startswith("Logits")}
    return i3d.load_encoder(), functools.partial(i3d.encode, units)


def _require_supported(detector: Detector) -> None:
    """Raises UserError for a run whose scores are not those of single videos of I3D's features."""
    run, where = detector.run, f"--from_frames: {detector.workdir}"
    if run.info.encoder != NAMES["i3d"]:
        raise UserError(
            f"{where} was trained on features labelled {run.info.encoder!r}; only I3D's "
            f"({NAMES['i3d']}) can be in the file, leave --from_frames out"
        )
    if detector.frames_per_segment != FRAMES_PER_SEGMENT or run.num_crops not in NUM_CROPS:
        raise UserError(
            f"{where} was trained on segments of {detector.frames_per_segment} frames in "
            f"{run.num_crops} crops; {FRAMES_PER_SEGMENT} frames in 1 or 10 crops are supported"
        )
    if run.takes_differences:
        raise UserError(
            f"{where} takes features less the median of their recording, which frames of one video "
            "do not tell; leave --from_frames out"
        )
    if detector.rule.num_segments:
        raise UserError(
            f"{where} scores videos {detector.rule.resolution}; only a run that scores at full "
            "length (config.eval.num_segments = 0) is supported, leave --from_frames out"
        )


def scores_of_frames(detector: Detector, encode: Encode) -> Graph:
    """The function of frames [T, 16, Y, X, 3], or [T, N, 16, Y, X, 3], that is exported.

    encode: [N, 16, Y, X, 3] uint8 to [N, D]. Segments are encoded one after the other, so that
    memory does not grow with the video but for its frames.
    """
    graphdef, params = detector.network
    channels = [slice(one["start"], one["end"]) for one in exported.channel_runs(detector.run)]

    def scores(frames: jax.Array) -> dict[str, jax.Array]:
        rows = jax.lax.map(lambda one: encode(one.reshape(-1, *one.shape[-4:])), frames)
        # Data sets and detection keep features in float16.
        rows = rows.swapaxes(0, 1).astype(jnp.float16).astype(jnp.float32)
        features = jnp.concatenate([rows[..., some] for some in channels], axis=-1)
        features = jnp.pad(features, ((0, 0), (0, 1), (0, 0)))
        valid = jnp.arange(features.shape[1]) < frames.shape[0]
        valid = jnp.broadcast_to(valid, features.shape[:2])
        found = nnx.merge(graphdef, params)(features, valid).readout()
        logits, ratio = (
            jax.lax.slice_in_dim(found[name], 0, frames.shape[0], axis=1)
            for name in ("logits", "shift_ratio")
        )
        above = jax.nn.logsumexp(jax.nn.log_sigmoid(logits), axis=0)
        logits = above - jax.nn.logsumexp(jax.nn.log_sigmoid(-logits), axis=0)
        mean = {name: found[name].mean(axis=0) for name in OUTPUTS_OF_CORE if name in found}
        return {
            "logits": logits,
            "scores": jax.nn.sigmoid(logits),
            "shift_ratio": ratio.mean(axis=0),
        } | mean

    return scores


def _check(detector: Detector, encoder: VisualEncoder, graph: Graph) -> dict[str, Any]:
    """How far the graph is from detection. Raises UserError if that is too far."""
    differences = disagreement(detector, encoder, graph)
    exported.require_agreement(differences, TOLERANCE, "the graph does not agree with detection")
    return {
        "largest_difference": differences,
        "tolerance": TOLERANCE,
        "segments_and_batch": [list(one) for one in TRIED],
        "by": f"this file against detection with {encoder.name}, jax {jax.__version__} on "
        f"{jax.default_backend()}, on made-up videos",
    }


def disagreement(detector: Detector, encoder: VisualEncoder, graph: Graph) -> dict[str, float]:
    """The largest difference of each output over TRIED; of logits, as a share where they exceed 1.

    "calibrated" is what detection shows: the score that follows from the logits by the JSON's
    calibration. inf if a value is not finite.
    """
    run = jax.jit(graph, compiler_options=compiler_options())
    found: dict[str, float] = {}
    for index, (count, batch) in enumerate(TRIED):
        crops = made_up_video(count, detector.run.num_crops, seed=index)
        rows = [
            encoder.encode_segments(list(crops[first : first + batch]), batch)
            for first in range(0, count, batch)
        ]
        scores = detector.score(np.concatenate(rows).swapaxes(0, 1))
        given = {name: np.asarray(value) for name, value in run(_frames(crops)).items()}
        rule = detector.rule.calibration
        given["calibrated"] = calibrated(given["logits"].astype(np.float64), rule)
        expected = {
            "logits": scores.logits,
            "scores": scores.uncalibrated,
            "calibrated": scores.scores,
            "shift_ratio": scores.shift_ratio,
            "category_probs": scores.category_probs,
            "category_weights": scores.category_weights,
        }
        for name, two in given.items():
            apart = exported.difference(np.asarray(expected[name]), two)
            found[name] = max(found.get(name, 0.0), apart)
    return found


def made_up_video(num_segments: int, num_crops: int, *, seed: int) -> np.ndarray:
    """Coloured squares that drift, faster or slower in each segment: [T, N, 16, 224, 224, 3]."""
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (16, 16, 3), np.uint8).repeat(28, 0).repeat(28, 1)
    speeds = random.integers(-6, 7, (num_segments, 2)).repeat(FRAMES_PER_SEGMENT, axis=0)
    frames = [
        np.roll(picture, tuple(place), (0, 1))[:CROP_SIZE, :CROP_SIZE]
        for place in speeds.cumsum(axis=0)
    ]
    one = np.stack(frames).reshape(num_segments, 1, *SEGMENT)
    turned = [np.rot90(one, k, (3, 4)) for k in range(4)]  # crops that differ
    return np.concatenate([turned[k % 4] for k in range(num_crops)], axis=1)


def _frames(crops: np.ndarray) -> np.ndarray:
    """Crops [T, N, 16, 224, 224, 3] as the graph takes them."""
    return crops[:, 0] if crops.shape[1] == 1 else crops


def _describe(detector: Detector, shape: tuple[Any, ...]) -> dict[str, Any]:
    """What a user of the file must know; shape: of its input."""
    run, step = detector.run, detector.step
    description = exported.describe(run, step, run.model_config.num_channels)
    del description["channels"]
    places = "the centre" if run.num_crops == 1 else f"{', '.join(PLACES)}, then these mirrored"
    scoring = exported.scoring(run, detector.workdir, step)
    return description | {
        "inputs": {
            "frames": f"uint8 [{', '.join(map(str, shape))}], RGB, segments from 1 to {LONGEST}"
        },
        "before": [
            "decode every frame of the video at its own rate, upright, as RGB",
            f"resize each frame: the short side to {SHORT_SIDE}, the long side to "
            f"round(long * {SHORT_SIDE} / short); bilinear, half-pixel centres, no antialiasing, "
            "rounded to whole numbers",
            f"cut out {CROP_SIZE} x {CROP_SIZE} pixels: {places}; the centre begins at row "
            f"(rows - {CROP_SIZE}) // 2 and column (columns - {CROP_SIZE}) // 2",
            f"segment i is frames {FRAMES_PER_SEGMENT} i to {FRAMES_PER_SEGMENT} i + "
            f"{FRAMES_PER_SEGMENT - 1}; frames at the end that fill no segment are left out",
        ],
        "outputs": OUTPUTS | (OUTPUTS_OF_CORE if run.model_config.has_core else {}),
        "format": "stablehlo",
        "platforms": list(exported.PLATFORMS),
        # The mean over crops, the first step, is in the graph.
        "scoring": scoring | {"steps": scoring["steps"][1:]},
    }
