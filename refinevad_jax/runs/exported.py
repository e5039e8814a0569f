"""A scoring function with its weights as one file, StableHLO or ONNX, with a description as JSON.

No code of this package is needed to run it:

    exported = jax.export.deserialize(bytearray(open("model.bin", "rb").read()))
    outputs = exported.call(features, valid)   # float32 [B, T, D], bool [B, T]
    outputs["scores"]                          # [B, T], 0 on padding

    session = onnxruntime.InferenceSession("model.onnx")
    (scores,) = session.run(["scores"], {"features": features, "valid": valid})
"""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export as jax_export

from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_described
from refinevad_jax.model.temporal_encoder import LONGEST_WHOLE
from refinevad_jax.runs import onnx_graph
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, read_run
from refinevad_jax.runs.scoring_rule import FALSE_ALARM_RATES, scoring_rule, stored_threshold

PLATFORMS = ("cpu", "cuda", "tpu")
LONGEST = LONGEST_WHOLE  # T
OUTPUTS = {
    "logits": "[batch, time], without meaning on padding; see scoring",
    "scores": "[batch, time] sigmoid(logits), not calibrated, 0 on padding",
    "shift_ratio": "[batch, time]",
}
OUTPUTS_OF_CORE = {
    "category_probs": "[batch, categories]",
    "category_weights": "[batch, categories]",
}


# Batch and segments of what an ONNX file is tried on: alone, in batches, shorter and longer than in
# training, at lengths that no power of two divides.
TRIED = ((1, 2), (3, 17), (2, 32), (1, 200), (2, 333))
# How far an output may be from the model's. Rounding gives up to 1e-5. It can be more, because
# MoTAR exchanges a whole number of channels: rounding may change that number by one.
TOLERANCE = 1e-3


def export(
    workdir: pathlib.Path, output: pathlib.Path, *, step: str, form: str = "stablehlo"
) -> dict[str, Any]:
    """Writes the file and, beside it, its description as JSON, which is returned.

    Batch and time are free: any B, and T from 2 to 2048, the longest that attention takes in one
    block. form: "stablehlo" or "onnx"; the latter is compared with the model before it is written.
    Raises UserError for a workdir without that step, if the file cannot be written, or if an ONNX
    file does not agree with the model.
    """
    if form == "onnx":
        onnx_graph.require_converter()
    run = read_run(workdir)
    graphdef, params, number = restore(run, workdir, step)

    def scores(features: jax.Array, valid: jax.Array) -> dict[str, jax.Array]:
        return nnx.merge(graphdef, params)(features, valid).readout()

    batch, time = jax_export.symbolic_shape(
        "batch, time", constraints=["time >= 2", f"time <= {LONGEST}"]
    )
    channels = run.model_config.num_channels
    arguments = (
        jax.ShapeDtypeStruct((batch, time, channels), np.float32),
        jax.ShapeDtypeStruct((batch, time), np.bool_),
    )
    facts: dict[str, Any]
    if form == "onnx":
        content, facts = _onnx(scores, arguments, channels)
    else:
        with without_source_paths():
            exported = jax_export.export(jax.jit(scores), platforms=PLATFORMS)(*arguments)
        content, facts = bytes(exported.serialize()), {"platforms": list(PLATFORMS)}
    description = describe(run, number, channels) | {"format": form} | facts
    description |= {"scoring": scoring(run, workdir, number)}
    return write_described(output, content, description)


@contextlib.contextmanager
def without_source_paths() -> Iterator[None]:
    """Otherwise JAX writes, for debugging, where each file of the code is on this machine."""
    key = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, key)
    jax.config.update(key, 0)
    try:
        yield
    finally:
        jax.config.update(key, before)


def _onnx(
    scores: Callable[..., dict[str, jax.Array]],
    arguments: tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct],
    channels: int,
) -> tuple[bytes, dict[str, Any]]:
    """The ONNX model, and how far it is from the network. Raises UserError if that is too far."""
    names = sorted(jax.eval_shape(scores, *arguments))
    inputs = ("features", "valid")
    content = onnx_graph.convert(
        lambda *arrays: [scores(*arrays)[name] for name in names], arguments, inputs, names
    )
    differences = disagreement(jax.jit(scores), onnx_graph.runner(content), channels)
    require_agreement(differences, TOLERANCE, "the ONNX file does not agree with the model")
    check = {
        "largest_difference": differences,
        "tolerance": TOLERANCE,
        "batch_and_time": [list(shape) for shape in TRIED],
        "by": f"ONNX Runtime on CPU against jax {jax.__version__} on {jax.default_backend()}",
    }
    return content, {"opset": onnx_graph.opset(content), "check": check}


def disagreement(
    model: Callable[..., dict[str, Any]], other: Callable[..., dict[str, Any]], channels: int
) -> dict[str, float]:
    """The largest difference of each output over TRIED; of logits, as a share where they exceed 1.

    The bags are noise of two scales with padding at the end, segments that repeat the one before,
    and segments without evidence (all 0). Padding of logits and shift_ratio has no meaning. inf if
    one of the two is not finite.
    """
    random, found = np.random.default_rng(0), dict[str, float]()
    for batch, time in TRIED:
        features = random.normal(size=(batch, time, channels)).astype(np.float32)
        features[:, time // 2 :] *= 0.01
        features[:, 1 : time // 4] = features[:, :1]
        features[-1, time // 3] = 0.0
        valid = np.arange(time) < np.maximum(2, time - 5 * np.arange(batch))[:, None]
        expected = model(features, valid)
        for name, given in other(features=features, valid=valid).items():
            one, two = np.asarray(expected[name]), np.asarray(given)
            if name in ("logits", "shift_ratio"):
                one, two = one[valid], two[valid]
            found[name] = max(found.get(name, 0.0), difference(one, two))
    return found


def difference(one: np.ndarray, two: np.ndarray) -> float:
    """The largest |one - two|, as a share where |one| exceeds 1; inf if a value is not finite."""
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        return float("inf")
    return float(np.max(np.abs(one - two) / np.maximum(1.0, np.abs(one)), initial=0.0))


def require_agreement(differences: Mapping[str, float], tolerance: float, what: str) -> None:
    """Raises UserError, which begins with `what`, if an output differs by more than tolerance."""
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= tolerance:
        raise UserError(
            f"{what}: {worst} differs by {differences[worst]:.2g}, more than {tolerance:g}; "
            "nothing was written, --format=stablehlo without further flags exports the network"
        )


def describe(run: Run, step: int, channels: int) -> dict[str, Any]:
    """What a user of the file must know: its inputs, its categories, and where it comes from."""
    info = run.info
    less = "; less the median of their recording (see scoring)" if run.takes_differences else ""
    return {
        "inputs": {
            "features": f"float32 [batch, time, {channels}], time from 2 to {LONGEST}{less}",
            "valid": "bool [batch, time], True on a run from the first segment on",
        },
        "outputs": OUTPUTS | (OUTPUTS_OF_CORE if run.model_config.has_core else {}),
        "channels": channel_runs(run),
        "encoder": info.encoder,
        "frames_per_segment": info.frames_per_segment,
        "categories": list(info.taxonomy.display_names),
        "trained_on": info.name,
        "simulated": info.simulated,
        "trained_in_segments": run.config.data.num_segments,
        "step": step,
        "jax": jax.__version__,
    }


def scoring(run: Run, workdir: pathlib.Path, step: int) -> dict[str, Any]:
    """How evaluation and detection make their scores of the outputs, step by step.

    The file is the network alone: what lies before and after it is stated here.
    """
    rule = scoring_rule(run, workdir, step)
    steps = []
    if run.takes_differences:
        steps.append(
            "take from each channel its median over all segments of the same recording (camera, "
            "film or record; the video alone if no other is known, and thresholds then are not "
            "sure), per crop; segments in which all channels of a modality are 0 stay out of its "
            "median and stay 0"
        )
    if rule.num_segments:
        steps.append(
            f"resample the T segments of a video to {rule.num_segments}: bin i is the mean of "
            "segments edges[i] to edges[i + 1], edges = int(linspace(0, T, "
            f"{rule.num_segments + 1})); an empty bin is segment min(edges[i], T - 1)"
        )
    steps.append("average sigmoid(logits) over the crops of the video, and take the logit of it")
    if rule.calibration:
        steps.append("score = sigmoid(slope * logit + offset)")
    else:
        steps.append("score = sigmoid(logit)")
    if rule.num_segments:
        steps.append(
            f"frame f of the first F = {run.info.frames_per_segment} T frames has score f * "
            f"{rule.num_segments} // F; a segment has the highest of its frames"
        )
    calibration = rule.calibration and dataclasses.asdict(rule.calibration)
    thresholds = {
        f"{rate:g}": found and dataclasses.asdict(found)
        for rate in FALSE_ALARM_RATES
        for found in [stored_threshold(workdir, run, rule, rate)]
    }
    return {
        "num_segments": rule.num_segments,
        "steps": steps,
        "calibration": calibration,
        "why_not_calibrated": rule.note,
        "thresholds": thresholds,
    }


def channel_runs(run: Run) -> list[dict[str, Any]]:
    """Where the channels of the input lie in a feature vector of the data set, in order.

    [{"modality": "visual", "start": 0, "end": 1024}]: a modality that the run uses, and its
    channels [start, end) of the vector. The input is these runs, one after the other.
    """
    widths = [item.width for item in run.info.modalities]
    starts = itertools.accumulate([0, *widths])
    runs = [
        {"modality": item.name, "start": start, "end": start + item.width}
        for item, start in zip(run.info.modalities, starts, strict=False)
    ]
    used = set(run.columns().tolist())
    return [found for found in runs if found["start"] in used]


def load(path: pathlib.Path) -> Any:
    """The function of a StableHLO file, arrays to a dict. Raises UserError for another file."""
    try:
        exported = jax_export.deserialize(bytearray(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except Exception as error:  # the reader of the format raises many kinds
        raise UserError(f"{path}: not an exported model ({type(error).__name__})") from error
    return lambda *arrays: exported.call(*map(jnp.asarray, arrays))
