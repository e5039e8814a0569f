"""Makes a simulated data set: learnable, small, with every span of val and test known.

Half the videos are normal. The others hold one or two of six categories that differ in how they
move: burst, step, ramp, oscillation, freeze, alternation. The same flags give the same bytes.
With --video it is real encoder features instead: I3D on rendered clips (data_prep.simulate_video),
which ship with the project.

  python -m data_prep.simulate --name=sim --data_dir=data
  python -m data_prep.simulate --video --name=clips --data_dir=data
  python -m data_prep.simulate --name=hard --data_dir=data --num_videos=1000 --difficulty=0.8
"""

from absl import flags

from data_prep.dataset.summary import summarize
from data_prep.dataset.write import write_dataset
from data_prep.simulation.gaussian import MIN_VIDEOS, simulate
from data_prep.simulation.rendered import read
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import run

NAME = flags.DEFINE_string("name", "sim", "name of the data set")
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 240, "videos in all splits", MIN_VIDEOS, 100_000)
SEED = flags.DEFINE_integer("seed", 0, "seed of everything random", lower_bound=0)
VIDEO = flags.DEFINE_bool("video", False, "the shipped I3D features of 240 rendered clips")
DIFFICULTY = flags.DEFINE_float("difficulty", 0.5, "0 plain .. 1 barely visible", 0.0, 1.0)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")


def main() -> None:
    """Simulates, writes the data set and says what is in it."""
    if VIDEO.value:
        for flag in (NUM_VIDEOS, SEED, DIFFICULTY):
            if flag.present:
                raise UserError(f"--{flag.name} has no effect with --video")
        info, videos = read(NAME.value)
    else:
        info, videos = simulate(
            NAME.value, num_videos=NUM_VIDEOS.value, seed=SEED.value, difficulty=DIFFICULTY.value
        )
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
