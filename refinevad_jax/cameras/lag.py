"""How far a camera's pictures are behind: what waits in buffers of the network is seen only so."""

_PAUSE_S = 1.0  # if nothing came for so long, the source paused
_DRIFT = 2e-4  # seconds per second by which two clocks may differ


class Lag:
    """Compares the time stamps of one connection's frames with when they come.

    If reading and decoding are slower than the camera, frames wait in buffers that nobody counts;
    each then comes later after its time stamp than the quickest one did. After a pause the
    comparison begins anew, because nothing tells whether the camera's time went on meanwhile.

    Attributes:
        seconds: by which the last frame was late; 0 before the first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._quickest: float | None = None  # from a time stamp to the frame's coming
        self._came = 0.0

    def add(self, stamp: float, began: float, came: float) -> None:
        """Takes the next frame.

        stamp: its seconds by the source; began, came: when it was asked for, and when it came, in
        seconds of one clock.
        """
        took = came - stamp
        if self._quickest is None or came - began > _PAUSE_S:
            self._quickest, self._came = took, came
        self._quickest = min(took, self._quickest + _DRIFT * (came - self._came))
        self._came = came
        self.seconds = took - self._quickest
