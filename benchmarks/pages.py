"""Writes docs/performance.md and docs/scaling.md from the results kept in docs/benchmarks/.

  python -m benchmarks.train_step --torch --save     # each benchmark keeps its result with --save
  python -m benchmarks.pages

The text is in docs/benchmarks/*.md.j2; every measured figure in it comes from a result, and a
benchmark that has not been run is named as such. Nothing is measured here.
"""

import json
from typing import Any

import jinja2
from absl import flags

from benchmarks.limits import DATA_SHEETS
from benchmarks.records import FOLDER
from refinevad_jax.runtime import command_line

del flags.FLAGS.save  # of the benchmarks; this command measures nothing

# Of NVIDIA's data sheet for the H100 SXM, dense: products of float32 inputs in TF32, and bfloat16.
H100_TFLOPS = dict(zip(("tf32", "bfloat16"), DATA_SHEETS["NVIDIA H100 80GB HBM3"], strict=True))
# A plain guess for a GPU; what a step reaches of the limit on this machine is not used for it.
GPU_SHARE = 0.3
# A million hours at 30 frames per second, 16 frames per segment.
MILLION_HOURS_SEGMENTS = 1e6 * 3600 * 30 / 16


def results() -> dict[str, Any]:
    """Every kept result by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.json"))
    }


def percent(value: float, digits: int = 0) -> str:
    """A share in words."""
    return f"{100 * value:.{digits}f} %"


def load(result: dict[str, Any]) -> str:
    """Where a result comes from and how busy the machine was."""
    device, average = result["device"], result["load_average"]
    return f"{result['cores']} cores, {device}, load average {average}, jax {result['jax']}"


# What the numbers of benchmarks.device are called in its table, which leaves others out.
GPU_WORDS = {
    "seconds_a_step": "seconds per step",
    "share_of_product": "share of what products reach here",
    "product_tflops": "products here, TFLOP/s",
    "data_sheet_tflops": "on the data sheet, TFLOP/s",
    "float32_product_error": "error of a float32 product (TF32: about 1e-3)",
    "host_gap_share": "host's gap, share",
    "compile_s": "compiling, s",
    "first_dispatch_s": "first dispatch with compiling, s",
    "first_s": "first call with compiling, s",
    "peak_gb": "peak of the GPU's memory, GB",
    "torch_peak_gb": "PyTorch's peak, GB",
    "torch_eager.over_ours": "PyTorch as written, over ours",
    "torch_compile.over_ours": "torch.compile, over ours",
    "torch_compile_graphs.over_ours": "torch.compile with CUDA graphs, over ours",
    "torch_compile.first_dispatch_s": "torch.compile, first steps, s",
    "total_s": "from bags in memory to the last checkpoint, s",
    "without_compile_s": "the same without compiling, s",
    "over_one": "over one seed",
    "segments_per_s": "segments per second",
    "frames_per_s": "frames per second",
    "losses_differ_by": "losses differ by",
    "within_tolerance": "within tolerance",
    "torch": "PyTorch",
    "ended": "ended early",
}


def gpu_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The numbers of benchmarks.device in rows of part, quantity and value."""
    rows = []
    for part, numbers in result["parts"].items():
        flat = {"": numbers}
        for key, value in numbers.items():
            if isinstance(value, dict):
                flat[key] = value
        for key, values in flat.items():
            for name, value in values.items():
                words = GPU_WORDS.get(f"{key}.{name}", GPU_WORDS.get(name, ""))
                torch = key.startswith("torch_")
                if torch and f"{key}.{name}" not in GPU_WORDS:
                    continue
                if words and value is not None and not isinstance(value, dict):
                    where = "" if torch else key.replace("_", " ")
                    rows.append((f"{part} {where}".strip(), words, str(value)))
    return rows


def main() -> None:
    """Writes both pages."""
    # Markdown, from the numbers of our own records.
    environment = jinja2.Environment(  # nosec B701
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "load": load, "gpu_rows": gpu_rows}
    values = {
        "results": results(),
        "h100": H100_TFLOPS,
        "gpu_share": GPU_SHARE,
        "million_hours_segments": MILLION_HOURS_SEGMENTS,
    }
    for name in ("performance.md", "scaling.md"):
        text = environment.get_template(f"{name}.j2").render(values)
        (FOLDER.parent / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}: {len(values['results'])} results")


if __name__ == "__main__":
    command_line.run(main)
