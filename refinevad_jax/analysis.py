"""A trained model in a notebook.

    from refinevad_jax import analysis
    model = analysis.load_model("runs/ucf_text", "best")
    outputs = model(features, valid)         # [B, T, D], [B, T] bool -> Outputs
    outputs.scores, outputs.shift_ratio, outputs.core.category_weights
    model.core.embedded()                          # E, [C, H]
    model.motar.gate(standardised_log_intensity)   # MoTAR's gate

Features go in as they are packaged. If the run has data.normalization="recording", it takes those
of `refinevad_jax.runs.run.read_run(workdir).inputs(bags)`, less the median of their recording.

It is an ordinary NNX module: every part is an attribute, every parameter an array.
"""

import pathlib

from flax import nnx

from refinevad_jax.model.refinevad import RefineVAD
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import read_run


def load_model(workdir: str | pathlib.Path, step: str | int = "best") -> RefineVAD:
    """Restores the network of a run. step: "last", "best" or a number that has been kept.

    Raises UserError for a folder that is not a workdir, or a step that is not there.
    """
    run = read_run(pathlib.Path(workdir))
    graphdef, params, _ = restore(run, pathlib.Path(workdir), step)
    return nnx.merge(graphdef, params)
