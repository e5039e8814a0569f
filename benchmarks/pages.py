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

from benchmarks.records import FOLDER
from refinevad_jax.runtime import command_line

del flags.FLAGS.save  # of the benchmarks; this command measures nothing

# Of NVIDIA's data sheet for the H100 SXM, dense: products of float32 inputs in TF32, and bfloat16.
H100_TFLOPS = {"tf32": 495.0, "bfloat16": 989.0}
# A plain guess for a GPU; what a step reaches of the limit on this machine is not used for it.
GPU_SHARE = 0.3
# UCF-Crime: 800 normal and 810 anomalous training videos, a tenth held out, batch 64, 30 epochs.
UCF_STEPS = 30 * (720 // 32)
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
    return (
        f"{result['cores']} cores, {result['device']}, load average {result['load_average']} "
        f"at the end (2.0 is this benchmark alone), jax {result['jax']}"
    )


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
    environment.filters |= {"percent": percent, "load": load}
    values = {
        "results": results(),
        "h100": H100_TFLOPS,
        "gpu_share": GPU_SHARE,
        "ucf_steps": UCF_STEPS,
        "million_hours_segments": MILLION_HOURS_SEGMENTS,
    }
    for name in ("performance.md", "scaling.md"):
        text = environment.get_template(f"{name}.j2").render(values)
        (FOLDER.parent / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}: {len(values['results'])} results")


if __name__ == "__main__":
    command_line.run(main)
