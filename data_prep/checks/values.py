"""Checks of feature values: not finite, zero, constant, the same file twice, and their scale."""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
import tqdm

from data_prep.checks.findings import Section
from data_prep.dataset.records import are_unit
from data_prep.sources.features import load_file
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

SAMPLED_ROWS = 8


class _Collected:
    """What the files of a folder have shown so far."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.norms: list[float] = []
        self.unit: list[str] = []
        self.other: list[str] = []
        self.low, self.high = np.inf, -np.inf
        self.by_content: dict[str, list[pathlib.Path]] = {}

    def add(self, path: pathlib.Path, rows: np.ndarray) -> None:
        """Takes in some rows of a file, [R, D]."""
        rows = rows.astype(np.float32)
        if not np.isfinite(rows).all():
            self.found.setdefault("not finite", []).append(str(path))
            return
        self.low, self.high = min(self.low, rows.min()), max(self.high, rows.max())
        if not rows.any():
            self.found.setdefault("all zero", []).append(str(path))
        elif len(rows) > 1 and (rows == rows[0]).all():
            self.found.setdefault("constant in time", []).append(str(path))
        norms = np.linalg.norm(rows, axis=1)
        self.norms.append(float(np.median(norms)))
        (self.unit if are_unit(norms) is not False else self.other).append(str(path))
        digest = hashlib.sha256(f"{rows.shape}".encode() + rows.tobytes()).hexdigest()
        self.by_content.setdefault(digest, []).append(path)


def check_values(paths: Sequence[pathlib.Path], section: Section, *, whole: bool) -> None:
    """Adds what the values of all files say.

    Args:
        paths: feature files.
        section: receives facts and findings.
        whole: reads every row; False reads eight rows spread over each file.
    """
    collected = _Collected()
    for path in tqdm.tqdm(paths, desc="reading values", unit="file", disable=len(paths) < 200):
        try:
            collected.add(path, _rows(path, whole=whole))
        except UserError as error:
            collected.found.setdefault("damaged", []).append(str(error))
    read = "all rows" if whole else f"{SAMPLED_ROWS} rows per file"
    section.facts.append(("values read", read))
    if collected.norms:
        norm = float(np.median(collected.norms))
        section.facts += [
            ("values", f"{collected.low:.4g} .. {collected.high:.4g}"),
            ("L2 norm of a row", f"{norm:.4g} (median)"),
        ]
    for kind, files in collected.found.items():
        section.problem_of(f"values {kind}", files, "extract them again", "file")
    if collected.high > np.finfo(np.float16).max or collected.low < np.finfo(np.float16).min:
        section.problem("values too large", "they do not fit float16; scale the features")
    if collected.unit and collected.other:
        fewer = min(collected.unit, collected.other, key=len)
        what = "normalised to length 1" if fewer is collected.unit else "not normalised"
        section.problem_of("normalisation differs", fewer, f"{what}, unlike the others", "file")
    section.problem_of(
        "features twice", _twins(collected.by_content), "files that hold the same bytes", "group"
    )


def _rows(path: pathlib.Path, *, whole: bool) -> np.ndarray:
    """Rows of a file as [R, D]."""
    if path.suffix.lower() == ".npy" and not whole:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # NumPy raises many kinds for a damaged file
            raise UserError(f"{path}: damaged ({type(error).__name__}); copy it again") from error
    else:
        array = load_file(path)
    rows = array.reshape(-1, array.shape[-1])
    if whole or len(rows) <= SAMPLED_ROWS:
        return np.asarray(rows)
    return np.asarray(rows[np.linspace(0, len(rows) - 1, SAMPLED_ROWS).astype(int)])


def _twins(by_content: dict[str, list[pathlib.Path]]) -> list[str]:
    """The names of files of equal rows that are equal byte for byte, one text per group."""
    groups = []
    for paths in by_content.values():
        if len(paths) > 1:
            by_hash: dict[str, list[str]] = {}
            for path in paths:
                by_hash.setdefault(file_sha256(path), []).append(path.name)
            groups += [", ".join(names) for names in by_hash.values() if len(names) > 1]
    return groups
