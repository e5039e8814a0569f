"""The four ways in which a command ends early on purpose."""

import contextlib
import re
from collections.abc import Iterator


class UserError(Exception):
    """Misuse or bad data, exit code 2.

    The message is one line naming the file or key, the value, and what to do.
    """


class NumericalError(Exception):
    """Training met a non-finite value, exit code 1: step, term and last good checkpoint."""


class StoppedError(Exception):
    """Asked to stop, training has saved its state, exit code 75: the same command goes on."""


class SourceLostError(Exception):
    """A live source broke off and did not come back, exit code 3: at which second, and why."""


_OF_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


@contextlib.contextmanager
def as_damaged(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Raises UserError if the values of a file turn out not to have the shape that was written.

    what: file and cure. kinds: further errors that mean the same as those that Python raises. A
    UserError stays as it is unless it is among them.
    """
    try:
        yield
    except Exception as error:
        says_more = isinstance(error, UserError) and UserError not in kinds
        if says_more or not isinstance(error, (*_OF_SHAPE, *kinds)):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{what} ({reason})") from error


def config_fault(error: Exception) -> str:
    """Says why --config cannot be used, without the words that ml_collections puts around it."""
    while isinstance(inner := next(iter(error.args), None), Exception):
        error = inner
    missing = re.search(r"\[Errno \d+\] ([^:]+): '(.*)'", str(error))
    words = error.args[0] if isinstance(error, KeyError) and error.args else error
    reason = f"{missing[2]}: {missing[1]}" if missing else f"{type(error).__name__}: {words}"
    return f"--config: {reason}; --help lists configurations that ship"
