"""Seconds of frames, from the time stamps that a source gives and that may be wrong."""

import collections
import math
import statistics

# A step of up to so many usual steps is believed at once; so far may a stamp be off unsaid.
_USUAL = 2.5
_MEASURED = 15  # the usual step is the median of so many
# FFmpeg's own bound (dts_delta_threshold) between a pause and a jump of the clock.
PAUSE_S = 10.0
_LONGEST_PAUSE_S = 600.0


class Clock:
    """Turns the stamps of frames, in the order of the pictures, into seconds that never fall.

    A stamp that goes on from the one before by up to 2.5 usual steps is believed. Any other one is
    doubted until `wait` more frames have come. Each of them goes on either from the last believed
    stamp or from the doubted one, whichever is nearer to it at the usual step; from a doubted one
    that is later than the last, if it is later still:

    - Most go on from the last believed stamp: the doubted one is a stray. Its frame is placed
      between its neighbours. So is the frame of a stamp that is missing or repeated.
    - Most go on from the doubted one: time has moved, for good. Forward by up to PAUSE_S that is a
      pause of the source and is kept, as by a screen recorder that writes no frame while nothing
      moves. A longer one, up to ten minutes, is kept if the duration of the frame before covers it,
      or if the container states a length that covers it, as players do. Everything else is a jump
      of the clock: it was set, it ran over, or two recordings were joined. It is joined: time goes
      on by the usual step.

    A stamp that is behind the last one by up to 2.5 usual steps is taken as a stray in any case.
    At the end of the source, a doubted stamp is believed if it may be a pause.

    Attributes:
        num_frames: whose seconds were given.
        num_missing: frames without a stamp.
        num_strays: stamps that were replaced and were off by more than 2.5 usual steps.
        num_jumps: joined jumps of more than 2.5 usual steps.
        longest_jump: in seconds.
        now: seconds of the last frame that was given.
        fastest_step: the shortest usual step so far.
    """

    def __init__(self, step: float, *, end: float = -math.inf, wait: int = 4) -> None:
        """step: seconds between frames, a first guess; end: the last stamp as the source states it.

        wait: how many later frames are asked about a doubted one.
        """
        self.num_frames = self.num_missing = self.num_strays = self.num_jumps = 0
        self.longest_jump = self.now = 0.0
        self.fastest_step = math.inf
        self._steps = collections.deque([step], _MEASURED)
        self._end, self._wait = end, wait
        self._waiting: collections.deque[tuple[float | None, float]] = collections.deque()
        self._last: float | None = None  # the last believed stamp
        self._covered = 0.0  # how long its frame lasts, as the source states it
        self._since = 1  # frames since then, with the one that is looked at
        self._offset = 0.0  # from stamps to seconds

    @property
    def step(self) -> float:
        """The usual seconds between two frames."""
        return statistics.median(self._steps)

    def add(self, stamp: float | None, duration: float = 0.0) -> list[float]:
        """Takes the stamp of the next frame, None if it has none, and how long it lasts if stated.

        Returns the seconds, since the first frame, of the next frames for which they are known: in
        the order in which the stamps came, possibly none or several.
        """
        known = stamp is not None and math.isfinite(stamp)
        self._waiting.append((stamp if known else None, duration))
        return self._decide(self._wait)

    def close(self) -> list[float]:
        """The seconds of the frames that were still doubted when the source ended."""
        return self._decide(0)

    def _decide(self, wait: int) -> list[float]:
        found = []
        while self._waiting:
            stamp, duration = self._waiting[0]
            if not self._is_usual(stamp) and len(self._waiting) <= wait:
                break
            seconds = max(self._seconds(stamp, duration), self.now)
            self._waiting.popleft()
            self.now = seconds
            self.num_frames += 1
            found.append(seconds)
        return found

    def _is_usual(self, stamp: float | None) -> bool:
        if stamp is None:
            return False
        return self._last is None or 0 < stamp - self._last <= _USUAL * self.step * self._since

    def _seconds(self, stamp: float | None, duration: float) -> float:
        """The seconds of the first waiting frame, whose stamp is usual or can be decided on."""
        if stamp is None:
            self.num_missing += 1
            return self._between()
        if self._last is None:
            return self._believe(stamp, duration, self._following() - stamp)
        if self._is_usual(stamp):
            return self._believe(stamp, duration, self._offset)
        step = stamp - self._last
        if -_USUAL * self.step <= step <= 0 or self._is_stray(stamp):
            seconds = self._between()
            self.num_strays += bool(abs(stamp + self._offset - seconds) > _USUAL * self.step)
            return seconds
        if self._is_pause(step, stamp):
            return self._believe(stamp, duration, self._offset)
        jump = abs(stamp + self._offset - self._following())
        if jump > _USUAL * self.step:
            self.num_jumps += 1
            self.longest_jump = max(self.longest_jump, jump)
        self._last = None  # this step is none that tells how long steps are
        return self._believe(stamp, duration, self._following() - stamp)

    def _following(self) -> float:
        """Where the next frame is if it comes at the usual step."""
        return self.now + self.step if self.num_frames else 0.0

    def _believe(self, stamp: float, duration: float, offset: float) -> float:
        if self._last is not None and stamp - self._last <= PAUSE_S:
            self._steps.append((stamp - self._last) / self._since)
            if len(self._steps) == _MEASURED:
                self.fastest_step = min(self.fastest_step, self.step)
        self._last, self._covered, self._offset, self._since = stamp, duration, offset, 1
        return stamp + offset

    def _between(self) -> float:
        """The place of a frame whose stamp says nothing: before the next one that goes on."""
        since, self._since = self._since, self._since + 1
        for i, (later, _) in enumerate(self._waiting):
            if later is None or not i or self._last is None:
                continue
            room = later + self._offset - self.now
            if room > 0 and later - self._last <= _USUAL * self.step * (since + i):
                return self.now + room / (i + 1)
        return self._following()

    def _is_stray(self, stamp: float) -> bool:
        """Whether more of the later stamps go on from the last believed one than from this one."""
        assert self._last is not None
        back = moved = 0
        for i, (later, _) in enumerate(self._waiting):
            if later is None or not i:
                continue
            from_last = abs(later - self._last - self.step * (self._since + i))
            from_this = abs(later - stamp - self.step * i)
            goes_on = from_this < from_last or later >= stamp > self._last
            moved += goes_on
            back += not goes_on
        if not back and not moved:  # the source has ended
            return not self._is_pause(stamp - self._last, stamp)
        return back >= moved

    def _is_pause(self, step: float, stamp: float) -> bool:
        """Whether a lasting step of time is one in which the source had no frame."""
        if not 0 < step <= _LONGEST_PAUSE_S:
            return False
        return step <= PAUSE_S or stamp <= self._end or step <= self._covered * _USUAL
