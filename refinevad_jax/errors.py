"""The two ways in which a command ends early on purpose."""


class UserError(Exception):
    """Misuse or bad data: the message is one line naming file or key, value and cure; exit code 2."""


class TrainingStopped(Exception):
    """Training ended on a numerical fault: one line with step, term and last good checkpoint."""
