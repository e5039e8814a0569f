"""Writes a trained network for other programs, or as a small folder for others who use this one.

  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf.bin
  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf.onnx --format=onnx
  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf_hub --format=hub --about=card.md
  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf_frames.bin --from_frames

stablehlo and onnx write one file, weights included, for any batch size and 2 to 2048 segments.
FILE.json beside it says what goes in, what comes out, and how scores and thresholds are made of it.
StableHLO runs with jax alone, on CPU, GPU and TPU. An ONNX file is compared with the network before
it is written, and the largest difference is in FILE.json. hub writes a folder with the weights, the
configuration and a model card, which evaluate, detect and analysis.load_model take as a workdir.

With --from_frames the StableHLO file has the encoder too: frames of one video in, scores out. It is
compared with detection before it is written, which takes minutes.
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.staged import is_device
from refinevad_jax.runtime import command_line

WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run, as given to refinevad_jax.main.", required=True
)
OUTPUT = flags.DEFINE_string(
    "output", None, "File, or for hub folder, to write; an earlier one is replaced.", required=True
)
FORMAT = flags.DEFINE_enum("format", "stablehlo", ["stablehlo", "onnx", "hub"], "What to write.")
ABOUT = flags.DEFINE_string(
    "about",
    "",
    "With --format=hub: Markdown file that opens the model card. It says what the network is for, "
    "its limits and its licence; if not given, the card says that these are not stated.",
)
FROM_FRAMES = flags.DEFINE_bool(
    "from_frames",
    False,
    "With --format=stablehlo: put the encoder into the file too, 50 MB more, which then goes from "
    "the frames of a video to its scores. For runs on features of i3d.",
)
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")


def main() -> None:
    """Restores and exports."""
    workdir, output = pathlib.Path(WORKDIR.value), pathlib.Path(OUTPUT.value)
    if ABOUT.value and FORMAT.value != "hub":
        raise UserError("--about has no effect without --format=hub; leave it out")
    if FROM_FRAMES.value and FORMAT.value != "stablehlo":
        raise UserError(f"--from_frames: not with --format={FORMAT.value}; leave one of them out")
    if FORMAT.value != "hub" and output.is_dir():
        raise UserError(f"--output={output}: is a folder; name a file in it")
    if is_device(output):
        raise UserError(f"--output={output}: is a device or a pipe; name a file")
    if FORMAT.value == "hub":
        from refinevad_jax.evaluation import model_card

        about = ""
        if ABOUT.value:
            with as_damaged(f"--about={ABOUT.value}: cannot be read", OSError):
                about = pathlib.Path(ABOUT.value).read_text(encoding="utf-8")
        model_card.publish_hub(workdir, output, step=STEP.value, about=about)
        for path in sorted(output.iterdir()):
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
        return
    if FROM_FRAMES.value:
        from refinevad_jax.detection import frame_graph

        found = frame_graph.export(workdir, output, step=STEP.value)
    else:
        from refinevad_jax.runs import exported

        found = exported.export(workdir, output, step=STEP.value, form=FORMAT.value)
    print(f"{output}: step {found['step']}, {output.stat().st_size / 1e6:.1f} MB")
    if "check" in found:
        worst = max(found["check"]["largest_difference"].values())
        other = "detection" if FROM_FRAMES.value else "the network"
        print(f"{output}: differs from {other} by {worst:.1g} at most")
    print(f"{output}.json: its input: {next(iter(found['inputs'].values()))}; see docs/export.md")


if __name__ == "__main__":
    command_line.run(main)
