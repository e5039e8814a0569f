"""Runs an entry point: one line and exit code 2 for misuse and bad data, never a traceback."""

import contextlib
import difflib
import errno
import gc
import importlib.metadata
import os
import pathlib
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from refinevad_jax import config
from refinevad_jax.errors import (
    NumericalError,
    SourceLostError,
    StoppedError,
    UserError,
    config_fault,
)
from refinevad_jax.runtime import commands, configurations
from refinevad_jax.runtime.addresses import without_secrets

flags.disclaim_key_flags()  # a flag that is defined here belongs to the entry point that asks

SOURCE_LOST = 3
# Python's collector walks all objects after 10 collections of young ones: several times while the
# libraries are imported and programs are traced, which makes objects that stay.
COLLECTIONS_PER_FULL_ONE = 200
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
HELP = {"--help", "-help", "--helpshort", "-h", "-?"}
PACKAGES = {"refinevad_jax", "data_prep", "benchmarks"}
_REQUIRED = "must have a value other than None"  # of absl, for a required flag without value
_REPEATED = "; repeat this option to specify a list of values"  # of absl
# What XLA says of arguments that do not fit is a fault of this project: a traceback helps.
OURS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE")
# Faults of the disk, which any write may meet, and what to do about them.
DISK = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EFBIG: "choose another disk",
    errno.EIO: "check the disk and run the same command again",
    errno.EROFS: "choose another folder",
    errno.EACCES: "choose another place, or ask for the right to read or write there",
    errno.ENAMETOOLONG: "shorten the name",
    errno.EISDIR: "name a file in it",
    errno.ENOTDIR: "choose another folder",
    errno.EEXIST: "choose another folder",
    errno.EPERM: "choose another place, or ask for the right to read or write there",
}


def cache_flag() -> flags.FlagHolder[str | None]:
    """The flag of the entry points that compile, for refinevad_jax.runtime.compiler."""
    return flags.DEFINE_string(
        "compilation_cache",
        None,
        "Folder of compiled programs, empty for none; if not given, $JAX_COMPILATION_CACHE_DIR or "
        "refinevad_jax in the user's cache folder.",
    )


class _ConfigParser(ConfigFileFlagParser):
    """Takes the name of a configuration that ships too."""

    def parse(self, path: str) -> ConfigDict:
        """The configuration. Raises UserError if there is no such file or name."""
        return super().parse(str(configurations.find(path)))


def config_flag() -> flags.FlagHolder[ConfigDict]:
    """The flag --config of the entry points that train, whose keys can be set one by one."""
    holder = config_flags.DEFINE_config_file(
        "config",
        None,
        "Name of a configuration that ships, as ucf, or a Python file with get_config(); after it, "
        "--config.GROUP.KEY=VALUE sets a key.",
        lock_config=True,
    )
    flags.FLAGS["config"].parser = _ConfigParser("config", lock_config=True)
    flags.mark_flag_as_required("config")
    return holder


def run(main: Callable[..., None], *, takes_arguments: bool = False) -> None:
    """Parses absl flags, calls main() and turns a user's mistake into one line on stderr.

    takes_arguments: whether main takes the words that are not flags, as strings.

    Exit codes: 0 done; 1 training stopped on a numerical fault; 2 misuse, bad data, or a fault of
    the device, its memory or an installed library; 3 a live source broke off; 75 training was asked
    to stop (SIGTERM, Ctrl-C), has saved, and goes on with the same command, or another process of
    the run has ended, and the same commands go on; 130 (Ctrl-C) and 143 (SIGTERM) ended at once.
    """
    gc.set_threshold(*gc.get_threshold()[:2], COLLECTIONS_PER_FULL_ONE)
    signal.signal(signal.SIGTERM, _stop)
    _end_inside_long_calls()
    threading.excepthook = _thread_fault
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)

    def parse(argv: list[str]) -> list[str]:
        try:
            if HELP & set(argv[1:]):
                print(help_text(), flush=True)
                sys.exit(0)
            flags.FLAGS.set_gnu_getopt(True)  # flags may follow arguments
            rest = flags.FLAGS(argv)
        except SystemExit:  # absl ends --helpfull with code 1
            sys.exit(0)
        except BrokenPipeError:  # --help | head
            _discard_output()
            sys.exit(0)
        except flags.UnrecognizedFlagError as error:
            fail(f"{_unknown_flag(error.flagname)} --help lists the flags", code=2)
        except flags.Error as error:
            text = _missing() if _REQUIRED in str(error) else str(error)
            fail(f"{text}; --help lists the flags", code=2)
        except KeyboardInterrupt:
            _interrupted()
        except UserError as error:
            fail(str(error), code=2)
        except Exception as error:  # a configuration file is a program, which may raise anything
            fail(_unknown_override(argv) or config_fault(error), code=2)
        if len(rest) > 1 and not takes_arguments:
            fail(f"unexpected argument {rest[1]!r}: flags start with --; --help lists them", code=2)
        return rest

    def guarded(argv: Sequence[str]) -> None:
        try:
            main(*argv[1:])
        except UserError as error:
            fail(str(error), code=2)
        except BrokenPipeError:
            _discard_output()
        except OSError as error:
            if error.errno not in DISK and not error.filename:
                _end_if_of_machine(error)
                raise
            cure = DISK.get(error.errno or 0, "check the path")
            fail(f"{error.filename or 'a file'}: {error.strerror}; {cure}", code=2)
        except NumericalError as error:
            fail(str(error), code=1)
        except SourceLostError as error:
            fail(str(error), code=SOURCE_LOST)
        except StoppedError as error:
            print(f"stopped: {one_line(error)}", file=sys.stderr)
            sys.exit(TRY_AGAIN)
        except KeyboardInterrupt:
            _interrupted()
        except Exception as error:
            _end_if_of_machine(error)
            raise

    app.run(guarded, flags_parser=parse)


def help_text() -> str:
    """The docstring of the command, then its flags in the order in which they are defined."""
    own = list(_own_flags())
    lines = [(sys.modules["__main__"].__doc__ or "").strip(), "", "Flags:"]
    if not own:
        lines.append("  none")
    for flag in own:
        name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={_value(flag)}"
        notes = ", ".join(_notes(flag))
        lines.append(f"  {name}" + (f"  ({notes})" if notes else ""))
        lines.append(
            textwrap.fill(_explained(flag), 96, initial_indent=6 * " ", subsequent_indent=6 * " ")
        )
    if any(flag.name == "config" for flag in own):
        rows = configurations.summaries().items()
        lines += ["", "Configurations that ship:", *(f"  {name:12s} {text}" for name, text in rows)]
    return commands.as_started(
        "\n".join([*lines, "", "--helpfull lists the flags of libraries too."])
    )


def _own_flags() -> Iterator[Any]:
    """Flags of the command, then those that modules of this project define for several commands."""
    modules = flags.FLAGS.flags_by_module_dict()
    yield from modules.get(sys.argv[0], [])
    for name, found in modules.items():
        if name.split(".")[0] in PACKAGES:
            yield from found


def _required(flag: Any) -> bool:
    return any(_REQUIRED in validator.message for validator in flag.validators)


def _value(flag: Any) -> str:
    """What may follow the `=` of a flag."""
    if choices := getattr(flag.parser, "enum_values", None):
        return "|".join(filter(None, choices))
    return {"int": "N", "float": "X"}.get(flag.flag_type(), "TEXT")


def _notes(flag: Any) -> Iterator[str]:
    """Whether a flag is required, its limits, its default."""
    if _required(flag):
        yield "required"
    if _words(flag.help).endswith(_REPEATED):
        yield "may be repeated"
    if flag.parser.syntactic_help not in ("", "a number", "an integer"):
        yield flag.parser.syntactic_help
    if flag.default not in (None, "", []) and flag.default is not False:
        default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
        yield "default: on" if flag.boolean else f"default: {default}"


def _explained(flag: Any) -> str:
    """The help of a flag without what absl adds to it."""
    text = _words(flag.help).removesuffix(_REPEATED)
    return text.removeprefix(f"<{'|'.join(getattr(flag.parser, 'enum_values', None) or ())}>: ")


def _missing() -> str:
    """Says which required flags are not given, and what they are."""
    missing = [flag for flag in _own_flags() if _required(flag) and flag.value is None]
    *most, last = [f"--{flag.name} ({_explained(flag).rstrip('.')})" for flag in missing]
    return f"{', '.join(most)} and {last} are needed" if most else f"{last} is needed"


def _unknown_flag(name: str) -> str:
    """Says that there is no such flag, and which flag or key of --config was probably meant."""
    names = [flag.name for flag in _own_flags()]
    key = config.nearest_key(name) if "config" in names and "." not in name else ""
    if key.rpartition(".")[2] == name:
        near = f"config.{key}"
    else:
        near = next(iter(difflib.get_close_matches(name, names, 1)), "")
    return f"no flag --{name};" + (f" did you mean --{near}?" if near else "")


def _unknown_override(argv: Sequence[str]) -> str:
    """Says which --config.KEY is not a key of the configuration, "" if all are."""
    found = (re.match(r"--?(?:no)?config\.([\w.]+)", word) for word in argv)
    unknown = [match[1] for match in found if match and not config.is_key(match[1])]
    return config.unknown_key(unknown[0]) if unknown else ""


def default_workdir() -> str:
    """`runs/NAME` for the file of --config, `runs/NAME_DATASET` if a flag names other data."""
    flag: Any = flags.FLAGS["config"]
    file = config_flags.get_config_filename(flag)
    name = pathlib.Path(file).stem
    dataset = config_flags.get_override_values(flag).get("data.dataset")
    if dataset is not None and dataset != flag.parser.parse(file).data.dataset:
        name += "_" + re.sub(r"[^\w.-]", "_", dataset)
    return str(pathlib.Path("runs") / name)


def fail(message: str, *, code: int) -> None:
    """Prints `error: message` on stderr, in one line, and exits with code."""
    print(f"error: {one_line(without_secrets(message))}", file=sys.stderr)
    sys.exit(code)


def _end_if_of_machine(error: Exception) -> None:
    """Ends the command with one line if a fault is not ours."""
    if said := _fault_of_machine(error):
        fail(said, code=2)


def _fault_of_machine(error: Exception) -> str:
    """What a fault of device, memory or a library is, and what to do; "" if it may be ours."""
    text, jax = f"{one_line(error)[:300]}", sys.modules.get("jax")
    of_device = jax is not None and isinstance(error, jax.errors.JaxRuntimeError)
    # As accelerators say it, and processors.
    exhausted = re.search("RESOURCE_EXHAUSTED|out of memory", text, re.IGNORECASE)
    of_system = isinstance(error, OSError) and error.errno == errno.ENOMEM  # of mmap
    if isinstance(error, MemoryError) or of_system or (of_device and exhausted):
        return f"not enough memory ({text}); {_smaller()}"
    if of_device and not text.startswith(OURS):
        return (
            f"the device or its compiler failed ({text}); run the same command again, or on "
            "another device, as JAX_PLATFORMS=cpu"
        )
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] not in PACKAGES:
        module = (error.name or "a library").split(".")[0]
        names = importlib.metadata.packages_distributions().get(module, [module])
        cure = f"pip install --force-reinstall {names[0]}" if error.name else "install it again"
        return f"{module} cannot be imported ({text}); {cure}"
    return ""


def _smaller() -> str:
    """How this command takes less memory."""
    names, cures = {flag.name for flag in _own_flags()}, []
    if "config" in names:
        cures.append(
            "give a smaller --config.train.batch_size or --config.num_seeds, "
            "--config.train.precision=bfloat16, or --config.data.device_limit_gb=0, which leaves "
            "the bags on the host"
        )
    if "batch_size" in names:
        cures.append("give a smaller --batch_size")
    return ", or ".join([*cures, "take another device, as JAX_PLATFORMS=cpu"])


def _interrupted() -> NoReturn:
    """Ends at Ctrl-C. A checkpoint being written may keep a normal exit waiting forever."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        print("error: interrupted; run the same command again", file=sys.stderr, flush=True)
    os._exit(130)


def _stop(number: int, frame: object) -> None:
    """Ends at once, as a kill does: what was finished is on the disk, the next call tidies up."""
    del frame
    # Not print: the signal may have come in the middle of one.
    text = f"error: stopped by {signal.Signals(number).name}; run the same command again\n"
    with contextlib.suppress(OSError, ValueError):  # who started it may have ended
        os.write(sys.stderr.fileno(), text.encode())
    os._exit(128 + number)


def _thread_fault(fault: threading.ExceptHookArgs) -> None:
    """One line if a library's thread cannot write, as the thread of TensorBoard's files."""
    if isinstance(fault.exc_value, OSError) and fault.exc_value.errno in DISK:
        text = f"warning: a file could not be written: {one_line(fault.exc_value)}"
        print(text, file=sys.stderr)
    else:
        threading.__excepthook__(fault)


def _end_inside_long_calls() -> None:
    """Ends a second after SIGTERM or Ctrl-C if the main thread has not ended.

    Python calls handlers only between two instructions, and a compiled program is one instruction,
    which takes minutes for a video of days. Training and watching listen by themselves
    (runtime/stopping.py).
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    # A child process must not end by the signals of its parent.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def _watch(read: int) -> None:
    while (number := os.read(read, 1)[0]) not in (signal.SIGTERM, signal.SIGINT):
        pass
    time.sleep(1.0)
    _stop(number, None)


def _discard_output() -> None:
    """Ends quietly, as other tools do, if nobody reads our output any more (| head)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: Exception | str) -> str:
    """What an error says, in one line that a terminal shows and does not obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in _words(str(error)))


def _words(text: str) -> str:
    return " ".join(text.split())
