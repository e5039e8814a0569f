"""Feature files: shapes from headers, the layout of crops, channels.

A file holds (T, D), (crops, T, D) or (T, crops, D); where crops have files of their own, each holds
(T, D).
"""

import pathlib
import re
from collections.abc import Mapping, Sequence

from refinevad_jax.data.bags import Modality
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import read_header

CROP_COUNTS = (1, 5, 10)
LAYOUTS = ("auto", "crops_first", "time_first")


def read_shapes(bags: Sequence[Sequence[pathlib.Path]]) -> dict[pathlib.Path, tuple[int, ...]]:
    """Shapes of all feature files, from their headers alone; a bag is one video's files.

    Raises UserError for a file that is damaged, holds no numbers or has not two or three axes.
    """
    shapes = {}
    for files in bags:
        for path in files:
            header = read_header(path)
            axes = (2,) if len(files) > 1 else (2, 3)
            if header.dtype.kind not in "fiu" or len(header.shape) not in axes:
                raise UserError(
                    f"{path}: {header.dtype} of shape {header.shape}; expected numbers of shape "
                    "(T, D)" + (", (crops, T, D) or (T, crops, D)" if 3 in axes else "")
                )
            if 0 in header.shape:
                raise UserError(f"{path}: no segments (shape {header.shape}); leave the video out")
            shapes[path] = header.shape
        if len({shapes[path] for path in files}) > 1:
            differing = ", ".join(f"{path.name} {shapes[path]}" for path in files)
            raise UserError(f"crops differ in shape: {differing}; extract the video again")
    return shapes


def choose_layout(layout: str, shapes: Mapping[pathlib.Path, tuple[int, ...]]) -> str:
    """Which of the first two axes of three-dimensional files is the crops.

    "auto" takes the axis that has the same size, 1, 5 or 10, in all files. Returns "crops_first" or
    "time_first"; "none" where no file has three axes. Raises UserError where it cannot be told.
    """
    stacked = [shape for shape in shapes.values() if len(shape) == 3]
    if not stacked:
        return "none"
    if layout != "auto":
        return layout
    sizes = [{shape[axis] for shape in stacked} for axis in (0, 1)]
    fits = [len(size) == 1 and min(size) in CROP_COUNTS for size in sizes]
    if fits[0] == fits[1]:
        example = next(path for path, shape in shapes.items() if len(shape) == 3)
        problem = "both of the first two axes" if fits[0] else "neither of the first two axes"
        raise UserError(
            f"{example}: shape {shapes[example]}; {problem} can be the crops in all files; pass "
            "--layout=crops_first or --layout=time_first"
        )
    return "crops_first" if fits[0] else "time_first"


def parse_modalities(
    texts: Sequence[str], shapes: Mapping[pathlib.Path, tuple[int, ...]]
) -> tuple[Modality, ...]:
    """Reads `name=width` texts; one modality "visual" of all channels where there is none.

    Raises UserError where a text is malformed or a file has another D than the widths add up to.
    """
    modalities: list[Modality] = []
    for text in texts:
        match = re.fullmatch(r"(\w+)=([1-9]\d{0,5})", text)
        if not match:
            raise UserError(f"--modality={text}: expected name=width, as in visual=1024")
        if match[1] in [modality.name for modality in modalities]:
            raise UserError(f"--modality={text}: {match[1]} stands twice")
        modalities.append(Modality(match[1], int(match[2])))
    first = next(iter(shapes))
    if not modalities:
        modalities = [Modality("visual", shapes[first][-1])]
    width = sum(modality.width for modality in modalities)
    for path, shape in shapes.items():
        if shape[-1] != width:
            expected = f"--modality adds up to {width}" if texts else f"{first} has D = {width}"
            raise UserError(f"{path}: shape {shape}, D = {shape[-1]}, but {expected}")
    return tuple(modalities)


def num_segments(shape: tuple[int, ...], layout: str) -> int:
    """T of a feature file, from its shape."""
    return shape[1] if len(shape) == 3 and layout == "crops_first" else shape[0]
