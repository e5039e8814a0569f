"""Checks of feature values: not finite, too coarse in float16, zero, constant, the same twice."""

import collections
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from data_prep.checks.findings import Section
from data_prep.sources.features import in_crops
from data_prep.sources.labels import twin_faults
from data_prep.sources.recorded import content_of, digests_of
from refinevad_jax.data.normalization import are_unit
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import load_file
from refinevad_jax.files.half import DEGRADED, LOST, NOT_FINITE, TOO_LARGE, to_half

SAMPLED_ROWS = 8
_CURES = {
    TOO_LARGE: "they do not fit float16, in which features are kept",
    LOST: "features are kept in float16",
    DEGRADED: "features are kept in float16, which makes them coarser",
}


def check_values(
    paths: Sequence[pathlib.Path],
    layout: str,
    sources: Mapping[pathlib.Path, str],
    section: Section,
    *,
    whole: bool,
    twins: bool = True,
) -> None:
    """Adds what the values of all files say.

    Args:
        paths: feature files, whose headers were read without a fault.
        layout: of those with three axes, see choose_layout.
        sources: the list of each file, if there are lists.
        section: receives facts and findings.
        whole: reads every row; False reads eight rows spread over each file.
        twins: whether equal files are looked for.
    """
    faults: dict[str, list[str]] = collections.defaultdict(list)
    by_unit: dict[bool, list[str]] = {True: [], False: []}
    by_content: dict[str, list[pathlib.Path]] = collections.defaultdict(list)
    norms, extremes = [], []
    for path in tqdm.tqdm(paths, desc="reading values", unit="file", disable=len(paths) < 200):
        try:
            features = _features(path, layout, whole=whole)
        except UserError as error:
            faults["damaged"].append(str(error))
            continue
        half = to_half(features)
        if half.fault:
            in_sample = half.fault == NOT_FINITE and not whole  # at another place in the file
            faults[half.fault].append(f"{path}: {half.words}" if not in_sample else str(path))
        if half.fault == NOT_FINITE:
            continue
        extremes += [float(features.min()), float(features.max())]
        if half.fault == TOO_LARGE:
            continue
        rows = features.reshape(-1, features.shape[-1]).astype(np.float32)
        if not rows.any():
            faults["all zero"].append(str(path))
        elif features.shape[1] > 1 and (features == features[:, :1]).all():
            faults["constant in time"].append(str(path))
        lengths = np.linalg.norm(rows, axis=1)
        norms.append(float(np.median(lengths)))
        by_unit[are_unit(lengths) is not False].append(str(path))
        digest = hashlib.sha256(f"{features.shape}".encode() + rows.tobytes()).hexdigest()
        by_content[digest].append(path)
    section.facts.append(("values read", "all rows" if whole else f"{SAMPLED_ROWS} rows per file"))
    if extremes:
        section.facts.append(("values", f"{min(extremes):.4g} .. {max(extremes):.4g}"))
    if norms:
        section.facts.append(("L2 norm of a row", f"{float(np.median(norms)):.4g} (median)"))
    for kind, files in faults.items():
        section.problem_of(f"values {kind}", files, _CURES.get(kind, "extract them again"), "file")
    if all(by_unit.values()):
        unit = len(by_unit[True]) <= len(by_unit[False])
        what = "normalised to length 1" if unit else "not normalised"
        section.problem_of(
            "normalisation differs", by_unit[unit], f"{what}, unlike the others", "file"
        )
    # Contents are read a second time only of files with equal rows.
    alike = [path for group in by_content.values() if len(group) > 1 and twins for path in group]
    contents = {path: content_of(path, digest) for path, digest in digests_of(alike).items()}
    section.add(twin_faults(contents, sources))


def _features(path: pathlib.Path, layout: str, *, whole: bool) -> np.ndarray:
    """A file as [N, T, D], or eight of its T."""
    features = in_crops(load_file(path, mapped=not whole), layout)
    if not whole and features.shape[1] > SAMPLED_ROWS:
        places = np.linspace(0, features.shape[1] - 1, SAMPLED_ROWS).astype(int)
        features = features[:, places]
    return features
