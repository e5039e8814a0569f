"""How far a training is, in words."""

import time

import numpy as np


def in_words(values: list[float]) -> str:
    """One number, or mean ± standard deviation of several."""
    mean = f"{np.mean(values):.3f}"
    return f"{mean}±{np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


class Clock:
    """Steps a second since the start of this call, and the time left."""

    def __init__(self, first_step: int, num_steps: int) -> None:
        self._start, self._first, self._num_steps = time.monotonic(), first_step, num_steps

    def read(self, step: int) -> str:
        """In words, at a step."""
        rate = (step - self._first) / max(time.monotonic() - self._start, 1e-9)
        left = (self._num_steps - step) / max(rate, 1e-9)
        return (
            f"{rate:.2f} steps/s  {left / 60:.0f} min left"
            if left >= 60
            else (f"{rate:.2f} steps/s  {left:.0f} s left")
        )
