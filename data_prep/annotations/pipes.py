"""`name|frames|[start, end, ...]`, one video per line, of a PyTorch port of Sultani's method.

Frame numbers in pairs, -1 -1 or [] for none.
"""

import re

from data_prep.annotations.builder import Builder
from data_prep.annotations.record import Annotations
from data_prep.catalogue.video_names import strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError

_LINE = re.compile(
    r"\s*(?P<name>[^|]*[^|\s])\s*\|\s*(?P<frames>\d+)\s*\|\s*\[(?P<spans>[^\]]*)\]\s*"
)


def read_pipes(content: str, source: str) -> Annotations | None:
    """Annotations of such a file; None if its first line is of another grammar.

    Raises UserError for a line that does not fit.
    """
    lines = [(i, line) for i, line in enumerate(content.split("\n"), 1) if line.strip()]
    if not lines or not _LINE.fullmatch(lines[0][1]):
        return None
    builder = Builder("name|frames|[start, end, ...]", source)
    for i, line in lines:
        place = f"{source}, line {i}"
        match = _LINE.fullmatch(line)
        numbers = match["spans"].replace(",", " ").split() if match else ["?"]
        if not match or len(numbers) % 2 or not all(re.fullmatch(r"-1|\d+", n) for n in numbers):
            raise UserError(
                f"{place}: {line.strip()[:80]!r} is not 'name|frames|[start, end, ...]', whole "
                "numbers in pairs; correct the line"
            )
        pairs = [(int(a), int(b)) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
        spans = [Span(a, b) for a, b in pairs if (a, b) != (-1, -1)]
        builder.add(
            strip_video_path(match["name"]), spans, place=place, num_frames=int(match["frames"])
        )
    return builder.build()
