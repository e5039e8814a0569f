r"""From a folder of clips to a detector of your own, in one call.

  python -m data_prep.own --videos=clips/ --name=gate
  python -m data_prep.own --labels=labels.csv --name=gate --output=detectors/gate

The subfolders of --videos are the labels, one of them normal: clips/normal/, clips/fight/. Or
--labels names a CSV file with the header video,label; a third column, source, names the recording
that a video is a piece of. The call writes lists for training and test, extracts features, checks
and packages them, trains with configs/own.py, evaluates on the test videos, and prints the command
that finds events in new videos. Each step is a public command, which is printed. After an
interruption, the same call goes on. With new videos, it extracts those, and trains in a new run
folder: earlier runs stay.
"""

import pathlib
import sys

from absl import flags

from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.runtime import command_line, commands

VIDEOS = flags.DEFINE_string("videos", None, "folder of videos, a subfolder per label")
NAME = flags.DEFINE_string("name", None, "name of the data set, as gate", required=True)
LABELS = flags.DEFINE_string(
    "labels",
    None,
    "instead of subfolders: CSV file with the header video,label or video,label,source; its paths "
    "are relative to its own folder or to --videos",
)
NORMAL = flags.DEFINE_string(
    "normal",
    "",
    "label of the videos without anomaly, if its name does not say so as normal, no_fight or "
    "NonViolence do",
)
OUTPUT = flags.DEFINE_string("output", "", "folder of all results; ./NAME if not given")
ENCODER = flags.DEFINE_enum("encoder", "i3d", VISUAL, "what makes the features")
WEIGHTS = flags.DEFINE_string("weights", "", "clip: file of OpenAI's ViT-L/14 weights")
TEST_FRACTION = flags.DEFINE_float(
    "test_fraction",
    0.3,
    "share of the videos of each label that is kept for the test",
    0.01,
    0.9,
)


def main() -> None:
    """Goes the whole path."""
    from data_prep.own_data.path import Request, make_detector

    request = Request(
        name=NAME.value,
        output=pathlib.Path(OUTPUT.value or NAME.value),
        videos=pathlib.Path(VIDEOS.value) if VIDEOS.value else None,
        labels=pathlib.Path(LABELS.value) if LABELS.value else None,
        normal=NORMAL.value,
        encoder=ENCODER.value,
        weights=WEIGHTS.value,
        test_fraction=TEST_FRACTION.value,
        asked=TEST_FRACTION.present > 0,
        again=commands.spell("own", *sys.argv[1:]),
    )
    sys.exit(make_detector(request))


if __name__ == "__main__":
    command_line.run(main)
