"""The commands by name, in the order of the work, and how each is written on a command line.

A command is a module that runs as `python -m MODULE`; `refinevad NAME` runs the same module.
`spell` writes a command in the form in which the user started this process, so that it can be
pasted; `as_started` does so in help texts, which are written in the first form or name MODULE
alone.
"""

import os
import pathlib
import re
import shlex
from typing import NamedTuple

PROGRAM = "refinevad"
PACKAGE = "refinevad_jax"


class Command(NamedTuple):
    """A command: its module, and what it does, in a line."""

    module: str
    summary: str


COMMANDS = {
    "own": Command("data_prep.own", "from a folder of clips to a detector, in one call"),
    "check": Command("data_prep.check", "say what lists, features and truth are, and their faults"),
    "caption": Command("data_prep.caption", "describe videos in sentences"),
    "extract": Command("data_prep.extract", "turn videos or sentences into feature files"),
    "simulate": Command("data_prep.simulate", "make the data set of the demo"),
    "simulate_video": Command("data_prep.simulate_video", "draw the clips of the demo"),
    "package": Command("data_prep.package", "join features, labels and truth into a data set"),
    "convert": Command("data_prep.convert", "write a data set in the formats of other projects"),
    "tune": Command("refinevad_jax.tune", "fit a configuration to a data set, by its labels alone"),
    "train": Command("refinevad_jax.main", "train on a data set; goes on where it was stopped"),
    "evaluate": Command("refinevad_jax.evaluate", "measure a run, or anybody's scores; a report"),
    "compare": Command("refinevad_jax.compare", "compare evaluations, video by video"),
    "ladder": Command("refinevad_jax.ladder", "train and measure without each part in turn"),
    "results": Command("refinevad_jax.results", "tables of many runs"),
    "detect": Command("refinevad_jax.detect", "find events in videos and streams; pages that play"),
    "watch": Command("refinevad_jax.watch", "watch live cameras; tell of events as they happen"),
    "export": Command("refinevad_jax.export", "write the trained network for other programs"),
    "replay": Command("refinevad_jax.replay", "do a failed training step again"),
}
_NAMES = {command.module: name for name, command in COMMANDS.items()}
_MODULE = re.compile(rf"(?:python -m |(?<![\w./-]))({'|'.join(map(re.escape, _NAMES))})(?!\.?\w)")
_STARTED_AS = "REFINEVAD_STARTED_AS"
_FORMS = (PROGRAM, f"python -m {PACKAGE}")
# How the user calls `refinevad`; "" if by modules, or if the variable holds anything else.
_program = next((form for form in _FORMS if form == os.environ.get(_STARTED_AS)), "")


def start_as(program: str) -> None:
    """Says how this process was started: `refinevad`, or `python -m refinevad_jax`."""
    global _program
    _program = program


def environment() -> dict[str, str]:
    """What a command that this one starts needs to print commands in the same form."""
    return {_STARTED_AS: _program}


def as_started(text: str) -> str:
    """A text of ours, whose commands get the form in which this process was started.

    Not for a text that quotes a user: a file may have the name of a command.
    """
    if not _program:
        return text
    return _MODULE.sub(lambda match: f"{_program} {_NAMES[match[1]]}", text)


def spell(name: str, *words: str) -> str:
    """A whole command line for a shell, in the form in which this process was started.

    Args:
        name: of COMMANDS.
        words: the flags and arguments, `--flag=value` each; they are quoted here.
    """
    command = f"{_program} {name}" if _program else f"python -m {COMMANDS[name].module}"
    return " ".join([command, *map(quoted, words)])


def quoted(word: str) -> str:
    """A flag or argument for a shell: --workdir='my runs/ucf', not '--workdir=my runs/ucf'."""
    match = re.fullmatch(r"(--[\w.]+=)(.+)", word, re.DOTALL)
    return match[1] + shlex.quote(match[2]) if match else shlex.quote(word)


def overview() -> str:
    """The commands, a line each, in the order of the work."""
    program = _program or PROGRAM
    rows = [f"  {name:15s} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "RefineVAD: finds anomalous events in video, learned from video-level labels.",
            "",
            f"usage: {program} COMMAND --flag=value ...",
            "",
            *rows,
            "",
            f"{program} COMMAND --help shows the flags of a command, --version the version.",
        ]
    )


def program_of(argv0: str) -> str:
    """What to write for the program that was started as argv[0]."""
    is_script = pathlib.PurePath(argv0).stem == PROGRAM
    return PROGRAM if is_script else f"python -m {PACKAGE}"
