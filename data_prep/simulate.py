"""Makes the demonstration data set: I3D features of rendered clips, with every anomaly known.

Six scenes by day and night, six anomalies, half the clips normal. The features ship with the
project; data_prep.simulate_video renders the clips. The same flags give the same bytes.

  python -m data_prep.simulate --name=clips --data_dir=data
  python -m data_prep.simulate --name=few --data_dir=data --num_videos=40

With --sentences there is a second modality, "text": sentences that a program writes of each clip,
embedded by MiniLM (the extra `text`; docs/data_format.md has what they tell and what not).

  python -m data_prep.simulate --name=told --data_dir=data --sentences
"""

from absl import flags

from data_prep.dataset.summary import summarize
from data_prep.dataset.write import write_dataset
from data_prep.simulation.clips import plan_clips
from data_prep.simulation.rendered import read
from data_prep.simulation.sentences import with_sentences
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import run

DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
NAME = flags.DEFINE_string("name", "sim", "name of the data set")
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 240, "videos in all splits", 20, 240)
SEED = flags.DEFINE_integer("seed", 0, "seed of the clips; the features that ship are of 0", 0)
SENTENCES = flags.DEFINE_bool("sentences", False, "add embedded sentences as a second modality")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")


def main() -> None:
    """Writes the data set and says what is in it."""
    if SEED.value:
        raise UserError(
            f"--seed={SEED.value}: the features that ship are of seed 0; render and extract the "
            "clips of another one by data_prep.simulate_video"
        )
    info, videos = read(NAME.value, num_clips=NUM_VIDEOS.value)
    if SENTENCES.value:
        from refinevad_jax.encoders.loading import load_text_encoder

        clips = {clip.name: clip for clip in plan_clips(NUM_VIDEOS.value, SEED.value)}
        info, videos = with_sentences(info, videos, clips, load_text_encoder("minilm"))
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
