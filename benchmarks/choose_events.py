"""Chooses the parameters of the rule that makes events, on evaluations of a validation split.

  python -m refinevad_jax.evaluate --workdir=runs/ucf_text --split=val
  python -m benchmarks.choose_events runs/ucf_text/seed*/eval/ucf_text-val-best

The folders are evaluations of one split by several seeds. Parameters are chosen on one half of the
videos and measured on the other, then the other way round; the published rule and the present rule
are measured beside them. Nothing is written; the values belong in refinevad_jax/metrics/events.py.
"""

import pathlib

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line


def main(*arguments: str) -> None:
    """Reads, chooses, prints."""
    from benchmarks import event_choice

    if not arguments:
        raise UserError("evaluation folders are needed: python -m benchmarks.choose_events EVAL")
    splits = [event_choice.read_scored(pathlib.Path(path)) for path in arguments]
    ids = [[bag.video_id for bag in split.bags] for split in splits]
    for path, found in zip(arguments, ids, strict=True):
        if found != ids[0]:
            raise UserError(f"{path}: other videos than {arguments[0]}")
    print(event_choice.report(splits, lambda text: print(text, flush=True)), end="")


if __name__ == "__main__":
    command_line.run(main, takes_arguments=True)
