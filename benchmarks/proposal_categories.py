r"""Whether an event is named better by its own segments than by its whole video.

A proposal gets the categories of its video. The category head can also be given the proposal's
segments alone, as if they were the video, at test time, without another training. This compares

  video      the probabilities of the video, as evaluation has them
  proposal   those of each proposal's own segments
  both       the mean of the two

by the category accuracy of anomalous videos (that of the proposal of most worth; video-level labels
alone, which is what to decide by) and by mAP@IoU of proposals, for which --truth is to be given.
--split=train takes the videos that each seed held out of training.

  python -m refinevad_jax.main --config=configs/ucf_text.py --workdir=runs/ucf_text \
      --config.num_seeds=5
  python -m benchmarks.proposal_categories --workdir=runs/ucf_text --split=val --truth
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a run, or of its seeds.", required=True)
SPLIT = flags.DEFINE_string("split", "val", "Split that is scored.")
TRUTH = flags.DEFINE_bool("truth", False, "Measure mAP@IoU too, with the split's frame truth.")


def main() -> None:
    """Measures every seed and prints the table."""
    from benchmarks.named_proposals import RULES, measured
    from refinevad_jax.metrics.localization import IOU_THRESHOLDS
    from refinevad_jax.report.tables import markdown_table, spread
    from refinevad_jax.runs.run import seed_workdirs

    folders = seed_workdirs(pathlib.Path(WORKDIR.value))
    if not folders:
        raise UserError(f"--workdir={WORKDIR.value}: no run there")
    found = [measured(folder, SPLIT.value, with_truth=TRUTH.value) for folder in folders]
    ious = [f"{iou:.1f}" for iou in IOU_THRESHOLDS] if TRUTH.value else []
    means = ["mean", "0.3 to 0.5"] if TRUTH.value else []
    cells = [
        [rule, *(spread(column) for column in zip(*(one[rule] for one in found), strict=True))]
        for rule in RULES
    ]
    header = ["category of", "category accuracy", *(f"mAP@IoU {iou}" for iou in ious), *means]
    print("\n".join(markdown_table(header, cells)))


if __name__ == "__main__":
    command_line.run(main)
