"""The workdir of a run: what evaluation and a notebook need, without a flag repeated.

W/config.json      configuration, data set description, versions and commit, their SHA-256
W/metrics.jsonl    one row per training step, one row per epoch
W/calibration.json of the best checkpoint, see calibration.py
W/checkpoints/     Orbax, one folder per step
W/eval/            one folder per evaluation
W/stream.json      thresholds for streams (stream_points.py), after evaluate --stream

A run of several seeds has these in W/seed0, W/seed1, ... instead. A published run (published.py)
has W/model.safetensors in place of metrics.jsonl and checkpoints/: all can read it, training cannot
go on in it.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from refinevad_jax import __version__
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.recordings import from_recordings, in_company
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.files.staged import write_json
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.runs.source_commit import source_commit
from refinevad_jax.runtime import commands

# The place of the data and whether it fits the device may change between two calls of a run.
CHANGEABLE = ("data.data_dir", "data.device_limit_gb", "data.host_limit_gb")
NAMES = ("config.data.dataset", "data.name")  # may change if the data is the same
NUM_EPOCHS = "config.train.num_epochs"  # may grow, see extend_run
WEIGHTS = "model.safetensors"  # of a published run
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's configuration and the description of the data it was trained on.

    num_crops: N of the training videos.
    median_segments: median of T over the training videos; a stream takes it for the usual length.
    versions: of `versions` when the run began, by name; empty if it is not known.
    """

    config: ConfigDict
    info: BagsInfo
    num_crops: int = 1
    median_segments: int = 64
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def model_config(self) -> ModelConfig:
        """The network's shape, from the configuration and the data's widths."""
        widths = tuple(modality.width for modality in self.info.modalities if self._uses(modality))
        return ModelConfig(
            modality_widths=widths,
            num_categories=self.info.taxonomy.num_categories,
            normalization=self.config.data.normalization,
            **self.config.model.to_dict(),
        )

    @property
    def chosen_on(self) -> str:
        """The videos that chose the checkpoint, in words."""
        data = self.config.data
        if data.selection_split == data.train_split:
            return f"{data.selection_fraction:.0%} of {data.train_split!r}, held out"
        return f"{data.selection_split!r}"

    def columns(self) -> np.ndarray:
        """Indices of the feature channels that the run uses. Raises UserError for unknown names."""
        names = [modality.name for modality in self.info.modalities]
        for name in self.config.data.modalities:
            if name not in names:
                raise UserError(
                    f"config.data.modalities: {name!r} is not in data set {self.info.name!r}, "
                    f"which has {', '.join(names)}"
                )
        kept = [np.full(modality.width, self._uses(modality)) for modality in self.info.modalities]
        return np.flatnonzero(np.concatenate(kept))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each modality of the data set, used or not."""
        return tuple(modality.width for modality in self.info.modalities)

    @property
    def takes_differences(self) -> bool:
        """Whether the network takes features less the median of their recording."""
        return self.config.data.normalization == "recording"

    def inputs(self, bags: Sequence[Bag]) -> list[Bag]:
        """Videos with the features that the network takes: all of a list, as a split.

        Raises UserError as `recordings.from_recordings`.
        """
        if not self.takes_differences:
            return list(bags)
        return from_recordings(bags, self.widths)

    def inputs_words(self, bags: Sequence[Bag]) -> str:
        """What is done to the features of a split before the network; "" if nothing."""
        if not self.takes_differences:
            return ""
        count = in_company(bags)
        if not count:
            return "features less the median of each video: none has another of its recording"
        return (
            "features less the median of their recording in the split, without labels "
            f"({count} of {len(bags)} videos have others of theirs)"
        )

    def inputs_note(self, bags: Sequence[Bag], split: str) -> str:
        """That no video of a split has another of its recording, if this matters; else ""."""
        if not self.takes_differences or in_company(bags):
            return ""
        return (
            f"config.data.normalization='recording': no recording has two videos of {split!r}, so "
            "the features of each video are less its own median"
        )

    def _uses(self, modality: Any) -> bool:
        chosen = self.config.data.modalities
        return not chosen or modality.name in chosen


def versions() -> dict[str, str]:
    """What computes here: this project, its commit ("" if not known), Python and libraries."""
    return {
        "refinevad_jax": __version__,
        "commit": source_commit(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def write_run(workdir: pathlib.Path, run: Run) -> None:
    """Writes config.json, or checks that the one there belongs to the same run.

    If the data has another place or name than before, the new one is kept. Raises UserError naming
    the first key that differs, or the version if that wrote other keys.
    """
    path = workdir / "config.json"
    content = run_content(run)
    if path.exists():
        _check_same_run(path, config=content["config"], data=content["data"])
        _keep_place(path, content)
        return
    _write_content(path, content | {"versions": versions()})


def _keep_place(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes where the data is now, and what it is called."""
    stored = _read_json(path)
    place = {key: content["config"]["data"][key] for key in ("data_dir", "dataset")}
    if place != {key: stored["config"]["data"][key] for key in place}:
        stored["config"]["data"] |= place
        stored["data"]["name"] = content["data"]["name"]
        _write_content(path, stored)


def check_settings(workdir: pathlib.Path, config: ConfigDict) -> None:
    """Raises UserError if training with this configuration cannot begin or go on in a workdir."""
    if (workdir / WEIGHTS).exists():
        raise UserError(
            f"{workdir} is a published run ({WEIGHTS}), in which training cannot go on; choose "
            f"another --workdir, or start from its parts with --config.transfer.workdir={workdir}"
        )
    path = workdir / "config.json"
    if path.exists():
        _check_same_run(path, config=json.loads(json.dumps(config.to_dict())))


def extend_run(workdir: pathlib.Path, num_epochs: int) -> int:
    """Writes the number of epochs into config.json if it has grown. Returns the earlier number."""
    path = workdir / "config.json"
    content = _read_json(path)
    train = content["config"]["train"]
    before = int(train["num_epochs"])
    if num_epochs > before:
        train["num_epochs"] = num_epochs
        _write_content(path, content)
    return before


def read_run(workdir: pathlib.Path) -> Run:
    """Reads config.json. Raises UserError if the folder is not a workdir or the file is damaged."""
    path = workdir / "config.json"
    if not path.is_file():
        refuse_several_seeds(workdir)
        raise UserError(
            f"{workdir} is not a workdir (no config.json); train one with "
            f"{commands.spell('train', '--config=NAME', f'--workdir={workdir}')}"
        )
    return run_of_content(_read_json(path), source=str(path))


def write_config_for_others(workdir: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes the config.json of a run into a folder that is passed on, see without_places."""
    content = _read_json(workdir / "config.json")
    content["config"] = without_places(content["config"])
    _write_content(folder / "config.json", content)


def without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that does not say where folders are on this machine: their names are left."""
    found = {key: dict(part) if isinstance(part, Mapping) else part for key, part in config.items()}
    for group, key in (("data", "data_dir"), ("transfer", "workdir")):
        path = pathlib.PurePath(found[group][key])
        if path.is_absolute() or path.parts[:1] == ("~",):
            found[group][key] = path.name
    return found


def run_content(run: Run) -> dict[str, Any]:
    """A run as JSON values."""
    content = {
        "config": run.config.to_dict(),
        "data": run.info.to_dict(),
        "num_crops": run.num_crops,
        "median_segments": run.median_segments,
    }
    return json.loads(json.dumps(content))


def run_of_content(content: Any, *, source: str) -> Run:
    """What run_content gave. Raises UserError naming the source if it is damaged."""
    try:
        trained = {str(k): str(v) for k, v in content.get("versions", {}).items()}
        _check_version(content, trained.get("commit", ""), source)
        config = ConfigDict(content["config"])
        config.data.modalities = tuple(config.data.modalities)
        config.transfer.parts = tuple(config.transfer.parts)
        info = BagsInfo.from_dict(content["data"], source=source)
        num_crops = int(content["num_crops"])
        median_segments = int(content["median_segments"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{source}: damaged ({error}); train again in a new workdir") from error
    config_lib.validate(config)
    return Run(config, info, num_crops, median_segments, trained)


def _check_version(stored: Any, commit: str, source: str) -> None:
    """Refuses a run with other keys: the network that it describes is another one."""
    missing, unknown = config_lib.other_keys(ConfigDict(stored["config"]))
    missing += ["median_segments"] * ("median_segments" not in stored)
    if missing or unknown:
        problem = f"no key {missing[0]}" if missing else f"unknown key {unknown[0]}"
        if unknown and unknown[0] in config_lib.REMOVED:
            value = config_lib.flat(stored["config"])[unknown[0]]
            problem = f"{unknown[0]}={value}, which has been removed"
        written = f"at commit {commit}" if commit else "by another version of this project"
        raise UserError(
            f"{source}: written {written} ({problem}), whose checkpoints do not load here; use "
            "that version, or train again in a new workdir"
        )


def seed_workdir(workdir: pathlib.Path, seed: int) -> pathlib.Path:
    """The folder of one seed of a run of several."""
    return workdir / f"seed{seed}"


def seed_workdirs(workdir: pathlib.Path) -> list[pathlib.Path]:
    """The workdirs of a run: the folder itself, or one per seed, ascending; [] if none."""
    if (workdir / "config.json").is_file():
        return [workdir]
    found = {}
    for config in workdir.glob("seed*/config.json"):
        number = config.parent.name.removeprefix("seed")
        if number.isdecimal():
            found[int(number)] = config.parent
    return [found[seed] for seed in sorted(found)]


def is_published(workdir: pathlib.Path) -> bool:
    """Whether a folder holds a published run, into which nothing is written any more."""
    return (workdir / WEIGHTS).is_file()


def refuse_several_seeds(workdir: pathlib.Path) -> None:
    """Raises UserError if a folder holds several seeds and one was meant."""
    seeds = [folder for folder in seed_workdirs(workdir) if folder != workdir]
    if seeds:
        raise UserError(f"{workdir} holds {len(seeds)} seeds; name one of them, as {seeds[0]}")


def _read_json(path: pathlib.Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        expected = content.pop("sha256")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); train again in a new workdir") from error
    if expected != json_sha256(content):
        raise UserError(
            f"{path}: damaged or edited (its SHA-256 is another); restore it, or train again in a "
            "new workdir"
        )
    with contextlib.suppress(AttributeError, LookupError, TypeError):  # run_of_content names it
        for key, value in config_lib.ADDED.items():
            group, _, name = key.partition(".")
            content["config"][group].setdefault(name, value)
        for key, neutral in config_lib.REMOVED.items():
            group, _, name = key.partition(".")
            if content["config"][group].get(name) == neutral:
                del content["config"][group][name]
    return content


def _write_content(path: pathlib.Path, content: dict[str, Any]) -> None:
    write_json(path, content | {"sha256": json_sha256(content)})


def _check_same_run(path: pathlib.Path, **new: Any) -> None:
    """Compares the given parts of config.json with what it holds.

    Without the part `data`, the name of the data set is not compared.
    """
    stored = _read_json(path)
    run_of_content(stored, source=str(path))
    before = config_lib.flat({key: stored[key] for key in new})
    after = config_lib.flat(new)
    renamed = all(
        before.get(key) == after.get(key)
        for key in before.keys() | after.keys()
        if key.startswith("data.") and key != "data.name"
    )
    for key in sorted(before.keys() | after.keys()):
        if key == NUM_EPOCHS and before[key] > after[key]:
            raise UserError(
                f"{path}: {key} was {before[key]} and is now {after[key]}; it may grow, which goes "
                "on with the run, but not shrink: choose another --workdir"
            )
        changeable = key == NUM_EPOCHS or key.removeprefix("config.") in CHANGEABLE
        changeable |= renamed and key in NAMES
        if before.get(key) != after.get(key) and not changeable:
            raise UserError(
                f"{path} belongs to another run: {key} was {before.get(key)!r} and is now "
                f"{after.get(key)!r}; choose another --workdir or repeat the same settings"
            )
