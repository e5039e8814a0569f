"""The three ways in which a command ends early on purpose."""


class UserError(Exception):
    """Misuse or bad data, exit code 2.

    The message is one line naming the file or key, the value, and what to do.
    """


class NumericalError(Exception):
    """Training met a non-finite value, exit code 1: step, term and last good checkpoint."""


class StoppedError(Exception):
    """Asked to stop, training has saved its state, exit code 75: the same command goes on."""
