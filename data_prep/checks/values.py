"""Checks of feature values: not finite, zero, constant, the same file twice, and their scale."""

import collections
import hashlib
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import tqdm

from data_prep.checks.findings import Section
from data_prep.dataset.records import are_unit
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import file_of, load_file
from refinevad_jax.files.hashes import file_sha256

SAMPLED_ROWS = 8


def check_values(paths: Sequence[pathlib.Path], section: Section, *, whole: bool) -> None:
    """Adds what the values of all files say.

    Args:
        paths: feature files, whose headers were read without a fault.
        section: receives facts and findings.
        whole: reads every row; False reads eight rows spread over each file.
    """
    faults: dict[str, list[str]] = collections.defaultdict(list)
    by_unit: dict[bool, list[str]] = {True: [], False: []}
    by_content: dict[str, list[pathlib.Path]] = collections.defaultdict(list)
    norms, extremes = [], []
    for path in tqdm.tqdm(paths, desc="reading values", unit="file", disable=len(paths) < 200):
        try:
            rows = _rows(path, whole=whole).astype(np.float32)
        except UserError as error:
            faults["damaged"].append(str(error))
            continue
        if not np.isfinite(rows).all():
            faults["not finite"].append(str(path))
            continue
        if not rows.any():
            faults["all zero"].append(str(path))
        elif len(rows) > 1 and (rows == rows[0]).all():
            faults["constant in time"].append(str(path))
        lengths = np.linalg.norm(rows, axis=1)
        norms.append(float(np.median(lengths)))
        extremes += [rows.min(), rows.max()]
        by_unit[are_unit(lengths) is not False].append(str(path))
        digest = hashlib.sha256(f"{rows.shape}".encode() + rows.tobytes()).hexdigest()
        by_content[digest].append(path)
    section.facts.append(("values read", "all rows" if whole else f"{SAMPLED_ROWS} rows per file"))
    if norms:
        section.facts += [
            ("values", f"{min(extremes):.4g} .. {max(extremes):.4g}"),
            ("L2 norm of a row", f"{float(np.median(norms)):.4g} (median)"),
        ]
    for kind, files in faults.items():
        section.problem_of(f"values {kind}", files, "extract them again", "file")
    if extremes and max(map(abs, extremes)) > np.finfo(np.float16).max:
        section.problem("values too large", "they do not fit float16; scale the features")
    if all(by_unit.values()):
        unit = len(by_unit[True]) <= len(by_unit[False])
        what = "normalised to length 1" if unit else "not normalised"
        section.problem_of(
            "normalisation differs", by_unit[unit], f"{what}, unlike the others", "file"
        )
    twins = _twins(by_content.values())
    section.problem_of("features twice", twins, "files that hold the same bytes", "group")


def _rows(path: pathlib.Path, *, whole: bool) -> np.ndarray:
    """Rows of a file as [R, D]."""
    array = load_file(path, mapped=not whole)
    rows = array.reshape(-1, array.shape[-1])
    if not whole and len(rows) > SAMPLED_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, SAMPLED_ROWS).astype(int)]
    return rows


def _twins(groups: Iterable[Sequence[pathlib.Path]]) -> list[str]:
    """The names of files that are equal byte for byte, one text per group of them.

    groups: files of equal rows.
    """
    by_hash: dict[str | bytes, list[str]] = collections.defaultdict(list)
    for paths in groups:
        if len(paths) > 1:
            for path in paths:
                alone = file_of(path) == path  # else one array of a file
                content = file_sha256(path) if alone else load_file(path).tobytes()
                by_hash[content].append(path.name)
    return [", ".join(names) for names in by_hash.values() if len(names) > 1]
