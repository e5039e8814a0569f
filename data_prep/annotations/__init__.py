"""Reads temporal annotations: grammars that the field has released, tables, exports of tools.

The grammar is detected, never asked for: `read_annotations(path)` takes a text, CSV, JSON, XML,
.mat, .npy or .npz file, or a folder with a file per video. docs/data.md lists the grammars.
"""

from data_prep.annotations.reading import read_annotations
from data_prep.annotations.record import Annotations, Stretch

__all__ = ["Annotations", "Stretch", "read_annotations"]
