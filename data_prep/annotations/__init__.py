"""Reads temporal annotations in every grammar that the field's repositories have released.

The grammar is detected, never asked for: `read_annotations(path)` takes a text, CSV, JSON, .mat,
.npy or .npz file, or a folder of .mat or .npy files. docs/data.md lists the grammars.
"""

from data_prep.annotations.reading import read_annotations
from data_prep.annotations.record import Annotations, Stretch

__all__ = ["Annotations", "Stretch", "read_annotations"]
