"""PEL4VAD on the same bags as ours, its step chosen by the same rule.

PEL4VAD (Pu, Wu, Yang and Wang, TIP 2024) is written here after its paper in PyTorch, which must be
installed: sizes and weights published for UCF-Crime, the input width is the data's. Its prompts are
words of a knowledge base embedded by CLIP, which a packaged data set does not have: a learned
vector per category takes their place. Batches are half normal and half anomalous, not mixed as they
come. Its smoothing of scores at test, whose window is set for each data set, is left out. The flags
and the rows are those of benchmarks.rtfm.

    python -m benchmarks.pel4vad --data_dir=data --dataset=ucf_text --split=val --seeds=3
"""

from benchmarks import peers
from refinevad_jax.runtime.command_line import run

peers.data_flags()
peers.training_flags(steps=550)


def main() -> None:
    """Trains and prints."""
    print(peers.run_system("PEL4VAD", "pel4vad_network", peers.Task.of_flags()))


if __name__ == "__main__":
    run(main)
