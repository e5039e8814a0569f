"""The commands that faults are injected into: what they are given and what must come out."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable

import numpy as np

from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs import checkpoints as checkpoints_lib
from refinevad_jax.runs.run import read_run
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from tests.conftest import NUM_CHANNELS, make_tiny_config
from tests.training.test_loop import command

# Names of what may only be there while a command runs, or after it was killed.
HIDDEN = (".", "incomplete-")
WORKING = (".orbax-checkpoint-tmp", ".tmp")


@dataclasses.dataclass(frozen=True)
class Ground:
    """What the commands read, made once: a data set, a trained run, features, lists, clips."""

    folder: pathlib.Path
    data: pathlib.Path
    trained: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command as it is faulted.

    Attributes:
        arguments: module and flags, given the ground and the folder of outputs.
        prepare: puts into the folder of outputs what is there before.
        whole: whether all outputs appear together, in one folder.
    """

    arguments: Callable[[Ground, pathlib.Path], list[str]]
    prepare: Callable[[Ground, pathlib.Path], None] = lambda ground, out: None
    whole: bool = False


def make_ground(folder: pathlib.Path, data: pathlib.Path, trained: pathlib.Path) -> Ground:
    """Writes the inputs."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(40):
        name, label = f"v{index:02d}", "fall" if index % 2 else "Normal"
        length = int(rng.integers(20, 60))
        features = rng.normal(size=(length, NUM_CHANNELS)).astype(np.float32)
        np.save(folder / f"{name}.npy", features)
        rows.append(f"{name}.npy,{label}\n")
    (folder / "train.csv").write_text("".join(rows))
    (folder / "shop.json").write_text('{"categories": ["fall", "fire"]}')
    for index in range(6):
        colours = rng.integers(0, 256, (3, 3))
        frames = [np.full((48, 64, 3), colours[i // 16], np.uint8) for i in range(48)]
        write_video(folder / "clips" / f"clip{index}.mp4", frames, fps=25)
    return Ground(folder, data, trained)


def _train(ground: Ground, out: pathlib.Path) -> list[str]:
    return command(make_tiny_config(ground.data), out / "run")[2:]


def _package(ground: Ground, out: pathlib.Path) -> list[str]:
    return [
        "data_prep.package",
        "--source=features",
        "--name=shop",
        "--overwrite",
        f"--data_dir={out}",
        f"--taxonomy={ground.folder / 'shop.json'}",
        f"--features={ground.folder}",
        f"--list=train={ground.folder / 'train.csv'}",
    ]


def _extract(ground: Ground, out: pathlib.Path) -> list[str]:
    flags = [f"--videos={ground.folder / 'clips'}", f"--output={out / 'features'}"]
    return ["tests.faults.quick_extract", "--encoder=i3d", *flags]


def _evaluate(ground: Ground, out: pathlib.Path) -> list[str]:
    return ["refinevad_jax.evaluate", f"--workdir={out / 'run'}", "--num_curves=2"]


def _trained_before(ground: Ground, out: pathlib.Path) -> None:
    shutil.copytree(ground.trained, out / "run")


def _detect(ground: Ground, out: pathlib.Path) -> list[str]:
    inputs = [f"--input={ground.folder / f'v{index:02d}.npy'}" for index in range(8)]
    flags = [f"--workdir={ground.trained}", f"--output={out / 'found'}", "--allow_mismatch"]
    return ["refinevad_jax.detect", *flags, *inputs]


def _report(ground: Ground, out: pathlib.Path) -> list[str]:
    evaluated = ground.folder / "run" / "eval" / "tiny-test-best"
    runs = [f"one={evaluated}", f"two={evaluated}"]
    return ["refinevad_jax.compare", *runs, f"--output={out / 'compare.html'}"]


SCENARIOS = {
    "training": Scenario(_train),
    "packaging": Scenario(_package, whole=True),
    "extraction": Scenario(_extract),
    "evaluation": Scenario(_evaluate, _trained_before, whole=True),
    "detection": Scenario(_detect),
    "report": Scenario(_report),
}


def fresh(ground: Ground, name: str, out: pathlib.Path) -> pathlib.Path:
    """The same folder each time: some outputs name it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    SCENARIOS[name].prepare(ground, out)
    return out


def check_visible(
    name: str, out: pathlib.Path, reference: dict[str, str], earlier: list[dict[str, str]]
) -> None:
    """What a kill left under final names is what the whole command leaves."""
    found = outputs(out)
    if SCENARIOS[name].whole:
        assert found in (reference, *earlier)
        return
    for path, digest in found.items():
        if path.endswith("metrics.jsonl"):
            continue  # a journal: what lies past the last checkpoint is dropped by the next call
        if " " in path and path not in reference:
            continue  # a checkpoint that is not kept to the end; it was read whole
        assert digest == reference[path], path


def outputs(out: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every output under its final name; of a run, that of what checkpoints hold."""
    found = {}
    for path in sorted(out.rglob("*")):
        parts = path.relative_to(out).parts
        if not path.is_file() or any(_temporary(part) for part in parts):
            continue
        if "tensorboard" in parts or "checkpoints" in parts:
            continue  # event files tell the time
        found["/".join(parts)] = file_sha256(path)
    for workdir in sorted(path.parent for path in out.rglob("config.json")):
        found |= {f"{workdir.name} {step}": text for step, text in checkpoint_digests(workdir)}
    return found


def checkpoint_digests(workdir: pathlib.Path) -> list[tuple[int, str]]:
    """Step and digest of every checkpoint; each is read whole and compared with its own SHA-256."""
    if not (workdir / "checkpoints").is_dir():
        return []
    run = read_run(workdir)
    _, shapes = abstract(run.model_config)
    optimizer = make_optimizer(OptimizerConfig.of(run.config), 9)
    wanted = checkpoints_lib.abstract_state(shapes, optimizer)
    kept = checkpoints_lib.Checkpoints(workdir, metric=run.config.train.selection_metric)
    found = []
    for step, metrics in kept.steps().items():
        state = kept.restore_state(step, wanted)
        text = checkpoints_lib.digest((state.params, state.opt_state))
        found.append((step, f"{text} {metrics}"))
    kept.close()
    return found


def leftovers(out: pathlib.Path) -> list[str]:
    """Files and folders that belong to no output."""
    parts = (path.relative_to(out).parts for path in out.rglob("*"))
    return sorted({"/".join(found) for found in parts if any(_temporary(part) for part in found)})


def _temporary(part: str) -> bool:
    return part.startswith(HIDDEN) or any(word in part for word in WORKING)
