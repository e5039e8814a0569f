"""What `data_prep.package` reads for each --source, and which flags each of them uses."""

import itertools
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from data_prep.catalogue.lookup import load_taxonomy
from data_prep.dataset.videos import Video
from data_prep.sources.feature_lists import FeatureLists, read_feature_lists
from data_prep.sources.list_files import parse_lists
from data_prep.sources.releases import Release, read_release
from data_prep.sources.timed_text import read_timed_text
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError

# Flags that a source needs, and those that only some sources use.
NEEDED = {
    "features": ("list", "features"),
    "release": ("list", "features"),
    "timed_text": ("input",),
}
_OF_LISTS = ("list", "features", "annotations", "layout", "num_crops", "frames_per_segment", "fps")
USED = {
    "features": (*_OF_LISTS, "modality"),
    "release": (*_OF_LISTS, "extra_features", "frame_counts"),
    "timed_text": ("input",),
}


def read_source(
    source: str, flags: Mapping[str, Any], given: Collection[str]
) -> tuple[BagsInfo, list[Video]]:
    """Reads the input of one --source.

    Args:
        source: a key of USED.
        flags: values of all flags of data_prep.package by name.
        given: names of the flags that the command line states.

    Raises UserError for a flag that is missing or of no effect, and for whatever is wrong with the
    input.
    """
    for name in NEEDED[source]:
        if not flags[name]:
            raise UserError(f"--source={source} needs --{name}; --help says more")
    for name in itertools.chain(*USED.values()):
        if name in given and name not in USED[source]:
            raise UserError(f"--{name} has no effect with --source={source}")
    words = {key: flags[key] for key in ("name", "encoder", "source_note")}
    words["taxonomy"] = load_taxonomy(flags["taxonomy"])
    if source == "timed_text":
        return read_timed_text(pathlib.Path(flags["input"]), **words)
    words |= {key: flags[key] for key in ("layout", "num_crops", "frames_per_segment", "fps")}
    words |= {"lists": parse_lists(flags["list"]), "annotations": _path(flags["annotations"])}
    folder = pathlib.Path(flags["features"])
    if source == "features":
        return read_feature_lists(FeatureLists(root=folder, modalities=flags["modality"], **words))
    folders = {"visual": folder, **_extra_folders(flags["extra_features"])}
    return read_release(
        Release(features=folders, frame_counts=_path(flags["frame_counts"]), **words)
    )


def _extra_folders(texts: Collection[str]) -> dict[str, pathlib.Path]:
    """Reads `modality=folder` texts, in order, beside the modality "visual"."""
    folders: dict[str, pathlib.Path] = {}
    for text in texts:
        modality, separator, folder = text.partition("=")
        if not (modality and separator and folder) or modality in ("visual", *folders):
            raise UserError(f"--extra_features={text}: expected MODALITY=FOLDER, each name once")
        folders[modality] = pathlib.Path(folder)
    return folders


def _path(text: str) -> pathlib.Path | None:
    return pathlib.Path(text) if text else None
