r"""What a trained network has learned, read from its parts: a script to copy from.

  python -m docs.insight --workdir=runs/ucf_text/seed0 --split=val

Prints whether the prototypes fall into the paper's groups, what the gate does inside videos, and
what the categories of videos are taken for. Needs scikit-learn.
"""

import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from refinevad_jax import analysis
from refinevad_jax.data.bags import Bag, read_split
from refinevad_jax.data.batches import resample
from refinevad_jax.errors import UserError
from refinevad_jax.model import motar
from refinevad_jax.model.refinevad import Outputs, RefineVAD
from refinevad_jax.runs.run import read_run
from refinevad_jax.runtime import command_line

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of one seed's run.", required=True)
SPLIT = flags.DEFINE_string("split", "val", "Split of its data set to look at.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data lies; as in the run when not given.")

# The paper sees these three groups of UCF-Crime in a t-SNE of its prototypes.
PAPER_GROUPS = (
    ("Arson", "Explosion", "RoadAccidents"),
    ("Arrest", "Assault", "Fighting"),
    ("Shoplifting", "Robbery"),
)


def group_silhouette(vectors: np.ndarray, names: Sequence[str], groups: Sequence) -> dict:
    """How well vectors [C, H] fall into groups of names: the silhouette by cosine, in [-1, 1].

    Beside it what random groups of the same sizes give: mean, and the share that is at least as
    high (a p-value of 1,000 permutations). Names in no group are left out.
    """
    from sklearn.metrics import silhouette_score

    label = {name: index for index, group in enumerate(groups) for name in group}
    kept = [index for index, name in enumerate(names) if name in label]
    labels = np.array([label[names[index]] for index in kept])
    value = silhouette_score(vectors[kept], labels, metric="cosine")
    rng = np.random.default_rng(0)
    random = np.array(
        [
            silhouette_score(vectors[kept], rng.permutation(labels), metric="cosine")
            for _ in range(1000)
        ]
    )
    at_least = (1 + (random >= value - 1e-12).sum()) / 1001
    return {"silhouette": float(value), "random": float(random.mean()), "p": float(at_least)}


def outputs_of(
    model: RefineVAD, bags: Sequence[Bag], columns: np.ndarray, length: int
) -> tuple[Outputs, np.ndarray]:
    """Outputs, and the motion [B, T] that the gate reads, on the first crop at one length."""
    features = np.concatenate([resample(bag.features[:1][..., columns], length) for bag in bags])

    @jax.jit
    def forward(x: jax.Array) -> tuple[Outputs, jax.Array]:
        valid = jnp.ones(x.shape[:2], bool)
        intensity = motar.motion_intensity(model.modality_norm(x, valid), valid)
        return model(x, valid), motar.last_motion(intensity, valid)

    return jax.device_get(forward(features))


def print_categories(outputs: Outputs, bags: Sequence[Bag], names: Sequence[str]) -> None:
    """For every category: videos, how many are right, and what the others are taken for."""
    labels = np.stack([bag.labels for bag in bags])
    assert outputs.core is not None
    taken = outputs.core.category_probs.argmax(axis=1)
    for category, name in enumerate(names):
        videos = np.flatnonzero(labels[:, category])
        if len(videos):
            counts = np.bincount(taken[videos], minlength=len(names))
            others = [
                f"{names[i]} {counts[i]}"
                for i in np.argsort(-counts)
                if i != category and counts[i]
            ]
            print(
                f"  {name:15s} {counts[category]:3d} of {len(videos):3d}  {', '.join(others[:3])}"
            )


def main() -> None:
    """Reads the run and its data, and prints."""
    workdir = pathlib.Path(WORKDIR.value)
    run = read_run(workdir)
    model = analysis.load_model(workdir, "best")
    data_dir = DATA_DIR.value or run.config.data.data_dir
    bags = run.inputs(read_split(data_dir, run.config.data.dataset, SPLIT.value))
    outputs, motion = outputs_of(model, bags, run.columns(), run.config.data.num_segments)
    names = run.info.taxonomy.categories
    if outputs.core is None or model.core is None:
        raise UserError(f"{workdir}: a run without CORE; there are no categories to look at")
    if set(PAPER_GROUPS[0]) <= set(names):
        found = group_silhouette(np.asarray(model.core.embedded()), names, PAPER_GROUPS)
        print(f"prototypes in the paper's three groups: {found}")
    weights = outputs.core.category_weights
    entropy = -np.sum(weights * np.log(np.maximum(weights, 1e-12)), axis=1).mean()
    print(f"category weights: entropy {entropy:.3f} of at most {np.log(len(names)):.3f}")
    ratio = outputs.shift_ratio
    print(f"gate: mean {ratio.mean():.3f}, span inside a video {np.ptp(ratio, axis=1).mean():.3f}")
    tie = np.corrcoef(ratio.ravel(), np.log(motion.ravel() + motar.VARIANCE_FLOOR))[0, 1]
    print(f"gate against log motion: correlation {tie:.3f}; against the truth: see metrics.json")
    print("categories, by the highest p_c:")
    print_categories(outputs, bags, names)


if __name__ == "__main__":
    command_line.run(main)
