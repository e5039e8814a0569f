"""Checks of feature values: not finite, zero, constant, twice the same, and how they are scaled."""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from data_prep.checks.findings import Section, counted
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


def check_values(
    videos: Mapping[str, Sequence[pathlib.Path]], section: Section, *, whole: bool
) -> None:
    """Adds what the values of all files say.

    Args:
        videos: files of each video.
        section: receives facts and findings.
        whole: reads every row; eight rows spread over each file where it is False.
    """
    paths = [path for files in videos.values() for path in files]
    collected = _Collected()
    for path in tqdm.tqdm(paths, desc="reading values", unit="file", disable=len(paths) < 200):
        try:
            collected.add(path, _rows(path, whole=whole))
        except UserError as error:
            collected.found.setdefault("damaged", []).append(str(error))
    section.facts.append(("values read", "all rows" if whole else f"{SAMPLED_ROWS} rows a file"))
    if collected.norms:
        norm = float(np.median(collected.norms))
        section.facts += [
            ("values", f"{collected.low:.4g} .. {collected.high:.4g}"),
            ("L2 norm of a row", f"{norm:.4g} (median)"),
        ]
    for kind, files in collected.found.items():
        section.problem(
            f"values {kind}", f"{counted(len(files), 'file')}; extract them again", files
        )
    if collected.high > np.finfo(np.float16).max or collected.low < np.finfo(np.float16).min:
        section.problem("values too large", "they do not fit float16; scale the features")
    if collected.unit and collected.other:
        fewer = min(collected.unit, collected.other, key=len)
        what = "normalised to length 1" if fewer is collected.unit else "not normalised"
        section.problem(
            "normalisation differs",
            f"{counted(len(fewer), 'file')} {what}, the others otherwise",
            fewer,
        )
    _find_twins(collected, section)


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


def _find_twins(collected: _Collected, section: Section) -> None:
    """Files of equal rows, confirmed byte for byte."""
    groups = []
    for paths in collected.by_content.values():
        if len(paths) > 1:
            by_hash: dict[str, list[str]] = {}
            for path in paths:
                by_hash.setdefault(file_sha256(path), []).append(path.name)
            groups += [", ".join(names) for names in by_hash.values() if len(names) > 1]
    if groups:
        section.problem(
            "features twice",
            f"{counted(len(groups), 'group')} of files that hold the same bytes",
            groups,
        )
