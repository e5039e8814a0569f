"""Feeds a board as watching does, from random numbers: what to look at while the page is built.

python -m tests.cameras.board_driver --cameras=8 --serve=127.0.0.1:8080
"""

import argparse
import io
import math
import pathlib
import random
import time

from refinevad_jax.cameras.board import HISTORY_SECONDS, Board
from refinevad_jax.cameras.event import LiveEvent

THRESHOLD = 0.6
SEGMENT_S = 0.64
HOSTILE = "<img src=x onerror=alert(1)>&amp; \u202e50% #1"


def names(count: int) -> list[str]:
    """Names of cameras; the last one of several is hostile."""
    found = [f"camera {number}" for number in range(1, count + 1)]
    return [*found[:-1], HOSTILE] if count > 1 else found


def jpeg(seed: int, size: tuple[int, int] = (160, 90)) -> bytes:
    """A picture of one colour with a lighter box."""
    from PIL import Image

    draw = random.Random(seed)
    colour = tuple(draw.randrange(40, 160) for _ in range(3))
    picture = Image.new("RGB", size, colour)
    picture.paste(tuple(value + 80 for value in colour), (size[0] // 3, size[1] // 3, 100, 70))
    content = io.BytesIO()
    picture.save(content, "JPEG")
    return content.getvalue()


class Driver:
    """Scores that swing, an event whenever they reach the threshold, and a lost camera."""

    def __init__(self, board: Board, cameras: list[str]) -> None:
        self._board, self._cameras = board, cameras
        self._open: dict[str, LiveEvent] = {}
        self._count = 0

    def past(self, until: float) -> None:
        """The last minutes at once."""
        for step in range(int(HISTORY_SECONDS / SEGMENT_S)):
            self.step(until - HISTORY_SECONDS + step * SEGMENT_S)

    def step(self, moment: float) -> None:
        """One segment of every camera that ends at a Unix time."""
        for number, camera in enumerate(self._cameras):
            lost = number % 5 == 3 and math.sin(moment / 60) > 0.6
            state = "lost" if lost else "connecting" if number % 17 == 16 else "live"
            if state == "live":
                self._score(number, camera, moment)
            elif camera in self._open:
                self._end(camera, moment, "lost")
            self._board.health(
                camera,
                state=state,
                frames_per_second=25 - number % 3,
                dropped=number // 4 * 7,
                late_seconds=number // 4 * 1.5,
                last_seen=None if state == "connecting" else moment - 40 * lost,
            )

    def _score(self, number: int, camera: str, moment: float) -> None:
        swing = math.sin(moment / (17 + number)) * math.sin(moment / (50 + 3 * number))
        score = min(1.0, max(0.0, 0.35 + 0.4 * swing + random.uniform(-0.05, 0.05)))
        self._board.score(camera, moment, score)
        found = self._open.get(camera)
        if score >= THRESHOLD and found is None:
            self._count += 1
            kind = ("Fighting", "Road accident", "")[self._count % 3]
            picture = jpeg(self._count) if self._count % 4 else None
            found = LiveEvent(f"{camera} {moment}", camera, moment, None, kind, score, picture)
            self._open[camera] = found
            self._board.event(found)
        elif score < THRESHOLD - 0.1 and found is not None:
            self._end(camera, moment, "score")

    def _end(self, camera: str, moment: float, why: str) -> None:
        found = self._open.pop(camera)
        self._board.event(
            LiveEvent(
                found.event_id,
                camera,
                found.start,
                moment,
                found.category,
                found.score,
                found.thumbnail,
                why,
            )
        )


def main() -> None:
    """Serves until Ctrl-C."""
    from refinevad_jax.cameras.server import serve

    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--serve", default="127.0.0.1:8080")
    parser.add_argument("--token_file", type=pathlib.Path)
    given = parser.parse_args()
    cameras = names(given.cameras)
    board = Board(cameras, THRESHOLD)
    driver = Driver(board, cameras)
    driver.past(time.time())
    served = serve(board, given.serve, given.token_file)
    print(served.url, flush=True)
    try:
        while True:
            driver.step(time.time())
            time.sleep(SEGMENT_S)
    except KeyboardInterrupt:
        served.close()


if __name__ == "__main__":
    main()
