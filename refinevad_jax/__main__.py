"""`refinevad COMMAND ...`, the same as `python -m MODULE ...` of that command."""

import difflib
import runpy
import sys

from refinevad_jax import __version__
from refinevad_jax.runtime import commands


def main() -> None:
    """Runs the module of the command that the first word names."""
    program = commands.program_of(sys.argv[0])
    commands.start_as(program)
    words = sys.argv[1:]
    if not words or words[0] in ("help", "-h", "-?", "-help", "--help"):
        print(commands.overview())
        return
    if words[0] == "--version":
        print(f"refinevad_jax {__version__}")
        return
    name = words[0]
    if name not in commands.COMMANDS:
        near = difflib.get_close_matches(name, commands.COMMANDS, 1)
        hint = f", did you mean {near[0]!r}?" if near else ";"
        print(f"error: no command {name!r}{hint} {program} alone lists them", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"{sys.argv[0]} {name}", *words[1:]]
    runpy.run_module(commands.COMMANDS[name].module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
