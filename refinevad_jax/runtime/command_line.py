"""Runs an entry point: one line and exit code 2 for misuse and bad data, never a traceback."""

import contextlib
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from refinevad_jax.errors import NumericalError, StoppedError, UserError

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
# Faults of the disk, which any write may meet, and what to do about them.
DISK = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EIO: "check the disk and run the same command again",
    errno.EROFS: "choose another folder",
    errno.EACCES: "choose another folder, or ask for the right to write there",
    errno.ENAMETOOLONG: "shorten the name",
    errno.EISDIR: "name a file in it",
    errno.ENOTDIR: "choose another folder",
    errno.EEXIST: "choose another folder",
    errno.EPERM: "choose another folder, or ask for the right to write there",
}


def cache_flag() -> flags.FlagHolder[str | None]:
    """The flag of the entry points that compile, for refinevad_jax.runtime.compiler."""
    return flags.DEFINE_string(
        "compilation_cache",
        None,
        "Folder of compiled programs, empty for none; when not given, refinevad_jax in the user's "
        "cache folder, or $JAX_COMPILATION_CACHE_DIR.",
    )


def run(main: Callable[..., None], *, takes_arguments: bool = False) -> None:
    """Parses absl flags, calls main() and turns a user's mistake into one line on stderr.

    takes_arguments: whether main takes what stands beside the flags, as strings.

    Exit codes: 0 done; 1 training stopped on a numerical fault; 2 misuse or bad data; 75 training
    was asked to stop (SIGTERM, Ctrl-C), has saved, and goes on with the same command; 130 (Ctrl-C)
    and 143 (SIGTERM) ended at once.
    """
    signal.signal(signal.SIGTERM, _stop)
    _end_inside_long_calls()
    threading.excepthook = _thread_fault
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)

    def parse(argv: list[str]) -> list[str]:
        try:
            flags.FLAGS.set_gnu_getopt(True)  # flags may follow arguments
            rest = flags.FLAGS(argv)
        except SystemExit:  # absl ends --help with code 1
            sys.exit(0)
        except BrokenPipeError:  # --help | head
            _discard_output()
            sys.exit(0)
        except flags.Error as error:
            fail(f"{one_line(error)}; --help lists the flags", code=2)
        except (AttributeError, KeyError, TypeError, ValueError, OSError, ImportError) as error:
            # What ml_collections raises for a configuration file or key that does not exist.
            fail(f"--config: {type(error).__name__}: {one_line(error)}; see configs/", code=2)
        if len(rest) > 1 and not takes_arguments:
            fail(f"unexpected argument {rest[1]!r}: flags start with --; --help lists them", code=2)
        return rest

    def guarded(argv: Sequence[str]) -> None:
        try:
            main(*argv[1:])
        except UserError as error:
            fail(one_line(error), code=2)
        except BrokenPipeError:
            _discard_output()
        except OSError as error:
            if error.errno not in DISK:
                raise
            fail(f"{error.filename or 'a file'}: {error.strerror}; {DISK[error.errno]}", code=2)
        except NumericalError as error:
            fail(one_line(error), code=1)
        except StoppedError as error:
            print(f"stopped: {one_line(error)}", file=sys.stderr)
            sys.exit(TRY_AGAIN)
        except KeyboardInterrupt:
            # A checkpoint being written waits for other threads; a normal exit could wait forever.
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                print("error: interrupted; run the same command again", file=sys.stderr, flush=True)
            os._exit(130)

    app.run(guarded, flags_parser=parse)


def fail(message: str, *, code: int) -> None:
    """Prints `error: message` on stderr and exits with code."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _stop(number: int, frame: object) -> None:
    """Ends at once, as a kill does: what was finished is on the disk, the next call tidies up."""
    del frame
    # Not print: the signal may have come in the middle of one.
    text = f"error: stopped by {signal.Signals(number).name}; run the same command again\n"
    with contextlib.suppress(OSError, ValueError):  # where who started it has gone, nobody reads
        os.write(sys.stderr.fileno(), text.encode())
    os._exit(128 + number)


def _thread_fault(fault: threading.ExceptHookArgs) -> None:
    """A thread of a library that cannot write, as that of TensorBoard's files: one line."""
    if isinstance(fault.exc_value, OSError) and fault.exc_value.errno in DISK:
        text = f"warning: a file could not be written: {one_line(fault.exc_value)}"
        print(text, file=sys.stderr)
    else:
        threading.__excepthook__(fault)


def _end_inside_long_calls() -> None:
    """Ends a second after SIGTERM or Ctrl-C where the main thread has not.

    Python calls handlers only between two instructions, and a compiled program is one, which takes
    minutes for a video of days. Training listens in its own way (training/stopping.py).
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    # A worker's signals are not those of the command.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def _watch(read: int) -> None:
    while (number := os.read(read, 1)[0]) not in (signal.SIGTERM, signal.SIGINT):
        pass
    time.sleep(1.0)
    _stop(number, None)


def _discard_output() -> None:
    """The reader of our output has gone (| head): end quietly as other tools do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: Exception) -> str:
    """What an error says, in one line that a terminal shows and does not obey."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
