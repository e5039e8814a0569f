r"""Renders clips as a fixed camera would see them, with exact truth, ready to be extracted.

  python -m data_prep.simulate_video --output=clips
  python -m data_prep.extract --encoder=i3d --videos=clips --output=features
  python -m data_prep.package --source=features --name=rendered --data_dir=data \
      --list=train=clips/train.csv --list=val=clips/val.csv --list=test=clips/test.csv \
      --features=features --annotations=clips/annotations.txt --taxonomy=clips/taxonomy.json

Six scenes by day and night, six anomalies, half the clips normal. The same flags give the same
files. --clips=test_001,test_003 renders these alone. The features of the default set ship with the
project (data_prep.simulate); with --features=FOLDER they are packed from feature files:

  python -m data_prep.simulate_video --features=features \
      --output=data_prep/simulation/rendered_i3d.npz
"""

import pathlib
from collections.abc import Sequence

import tqdm
from absl import flags

from data_prep.simulation.clips import FPS, QUALITY, TAXONOMY, Clip, plan_clips, render
from data_prep.simulation.rendered import pack
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable, write_json, write_text
from refinevad_jax.runtime.command_line import run

OUTPUT = flags.DEFINE_string("output", None, "folder of the clips, or .npz file", required=True)
NUM_CLIPS = flags.DEFINE_integer("num_clips", 240, "clips in all splits", 20, 10_000)
SEED = flags.DEFINE_integer("seed", 0, "seed of everything random", lower_bound=0)
CLIPS = flags.DEFINE_list("clips", [], "names of the clips to render; all if not given")
FEATURES = flags.DEFINE_string("features", "", "instead: folder of extracted features to pack")


def main() -> None:
    """Renders, or packs."""
    clips = plan_clips(NUM_CLIPS.value, SEED.value)
    output = pathlib.Path(OUTPUT.value)
    require_writable("output", output.parent if FEATURES.value else output)
    if FEATURES.value:
        if CLIPS.value:
            raise UserError("--clips has no effect with --features, which packs all clips")
        pack(clips, pathlib.Path(FEATURES.value), output)
        print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
        return
    known = {clip.name: clip for clip in clips}
    for name in CLIPS.value:
        if name not in known:
            raise UserError(f"--clips={name}: there are {clips[0].name} .. {clips[-1].name}")
    chosen = [known[name] for name in dict.fromkeys(CLIPS.value)] or clips
    for clip in tqdm.tqdm(chosen, desc="rendering", unit="clip"):
        path = output / clip.split / f"{clip.name}.mp4"
        write_video(path, render(clip), fps=FPS, quality=QUALITY)
    _write_lists(chosen, output)
    print(f"{output}: {len(chosen)} clips, lists, annotations.txt, taxonomy.json")


def _write_lists(clips: Sequence[Clip], output: pathlib.Path) -> None:
    """The lists and truth in the forms that data_prep.package reads."""
    for split in sorted({clip.split for clip in clips}):
        rows = [f"{split}/{c.name}.npy,{c.label}" for c in clips if c.split == split]
        write_text(output / f"{split}.csv", "\n".join(["path,label", *rows]) + "\n")
    rows = []
    for clip in clips:
        start, end = next(((span.start, span.end) for span in clip.spans), (-1, -1))
        rows.append(f"{clip.name}.mp4  {clip.label}  {start}  {end}  -1  -1")
    write_text(output / "annotations.txt", "\n".join(rows) + "\n")
    write_json(output / "taxonomy.json", TAXONOMY.to_dict())


if __name__ == "__main__":
    run(main)
