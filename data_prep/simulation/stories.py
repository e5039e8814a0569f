"""What happens in a rendered clip: who walks and drives, and how each anomaly unfolds.

A story gives actors. Anomalies fill the frames start .. end-1 of their span exactly: before and
after it the same people and vehicles do what they do on any day.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from data_prep.simulation.actors import (
    Actor,
    Drive,
    Look,
    Pose,
    blast,
    flames,
    person,
    vehicle,
)

Random = np.random.Generator
Walk = Callable[[int], Pose]
MaybeWalk = Callable[[int], Pose | None]


def some_look(rng: Random, size: float) -> Look:
    """Clothes or paint of any colour; sizes vary by a tenth."""
    colours = rng.integers(20, 230, (2, 3)).tolist()
    body, legs = ((red, green, blue) for red, green, blue in colours)
    return Look(size * float(rng.uniform(0.9, 1.1)), body, legs)


def some_person(rng: Random, pose: MaybeWalk) -> Actor:
    """A person of random looks."""
    return person(some_look(rng, 78), pose)


def walk(rng: Random, y: float, *, speed: float | None = None, first: int = 0) -> Walk:
    """Walks across the picture and back again, entering at some place."""
    pace = float(rng.uniform(0.8, 1.6)) if speed is None else speed
    direction = float(rng.choice([-1, 1]))
    offset = float(rng.uniform(0, 320))
    bob, phase = float(rng.uniform(0.16, 0.24)), float(rng.uniform(0, 6))

    def pose(frame: int) -> Pose:
        way = (offset + pace * (frame - first)) % 720
        x = way - 20 if way < 360 else 700 - way
        x = x if direction > 0 else 320 - x
        return Pose(x, y + 2 * math.sin(frame / 23 + phase), stride=frame * bob * pace + phase)

    return pose


def stand(rng: Random, x: float, y: float) -> Walk:
    """Stands, shifts, and now and then gestures, as in talking."""
    phase = float(rng.uniform(0, 6))

    def pose(frame: int) -> Pose:
        raised = max(0.0, math.sin(frame / 19 + phase)) * 0.4
        return Pose(x + 1.5 * math.sin(frame / 31 + phase), y, stride=0.4, arms=(0.1, raised))

    return pose


def road_drive(rng: Random, y: float, facing: int) -> Callable[[int], Drive]:
    """Drives through the picture again and again, slower at times."""
    pace, offset = float(rng.uniform(2.0, 4.0)), float(rng.uniform(0, 600))
    slow = float(rng.uniform(0, 60))

    def drive(frame: int) -> Drive:
        way = (offset + pace * frame + slow * math.sin(frame / 40)) % 640
        return Drive(way - 160 if facing > 0 else 480 - way, y, facing=facing)

    return drive


def bystanders(
    rng: Random, floor: tuple[float, float], *, roads: bool
) -> tuple[list[Actor], list[str]]:
    """People and vehicles of any day: walking, talking, running at times, driving.

    Returns them, and what they do: "walk", "run", "talk" (two people) or "drive", once each.
    """
    actors, doing = [], []
    for _ in range(rng.integers(1, 4)):
        hurried = rng.random() < 0.2
        y = float(rng.uniform(*floor))
        actors.append(some_person(rng, walk(rng, y, speed=3.2 if hurried else None)))
        doing.append("run" if hurried else "walk")
    if rng.random() < 0.5:
        x, y = float(rng.uniform(60, 260)), float(rng.uniform(*floor))
        actors += [some_person(rng, stand(rng, x + dx, y)) for dx in (-14, 14)]
        doing.append("talk")
    if roads:
        for y, facing in ((118.0, -1), (146.0, 1)):
            if rng.random() < 0.7:
                actors.append(vehicle(some_look(rng, 120), road_drive(rng, y, facing)))
                doing.append("drive")
    return actors, list(dict.fromkeys(doing))


def _joined(start: int, end: int, before: Walk, during: Walk, after: MaybeWalk) -> MaybeWalk:
    def pose(frame: int) -> Pose | None:
        return (before if frame < start else during if frame < end else after)(frame)

    return pose


def _gone(frame: int) -> None:
    """Out of view."""


def fight(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """Two people strike at each other, close, fast and out of step."""
    x, y = float(rng.uniform(90, 230)), float(rng.uniform(*floor))
    shake = rng.normal(size=(2, end - start, 4))

    def fighter(side: int) -> MaybeWalk:
        def during(frame: int) -> Pose:
            t = frame - start
            lunge, tilt, left, right = shake[int(side > 0), t]
            beat = math.sin(t * 1.1 + (side > 0) * 2)
            return Pose(
                x + side * (13 + 7 * beat) + 12 * math.sin(t / 13) + 2 * lunge,
                y + 3 * math.sin(t / 7),
                stride=t * 0.8,
                arms=(abs(beat) + 0.2 * left, abs(math.cos(t * 0.9 + side)) + 0.2 * right),
                tilt=-side * 0.25 * beat + 0.06 * tilt,
            )

        calm = stand(rng, x + side * 16, y)
        return _joined(start, end, calm, during, calm)

    return [some_person(rng, fighter(-1)), some_person(rng, fighter(1))]


def fall(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """A person who walks goes down within half a second and lies until the end of the span."""
    y = float(rng.uniform(*floor))
    before = walk(rng, y)
    side = float(rng.choice([-1, 1]))
    # The place of the fall is in full view, however the walk was drawn.
    shift = float(np.clip(before(start).x, 60, 260) - before(start).x)

    def shifted(frame: int) -> Pose:
        pose = before(min(frame, start))
        return Pose(pose.x + shift, pose.y, stride=pose.stride)

    def during(frame: int) -> Pose:
        t = frame - start
        down = min(1.0, (t / 11) ** 2)
        twitch = 0.05 * math.sin(t / 5) * (t > 12)
        pose = shifted(start)
        return Pose(
            pose.x + side * 8 * down,
            pose.y,
            0.5,
            (0.3 + down * 0.6, 0.8 * down + twitch),
            tilt=side * (down * 1.5 + twitch),
        )

    return [some_person(rng, _joined(start, end, shifted, during, shifted))]


def theft(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """A person snatches the bag of another and runs off; the other runs after."""
    x, y = float(rng.uniform(110, 210)), float(rng.uniform(*floor))
    side = int(rng.choice([-1, 1]))
    calm = stand(rng, x, y)
    lurk = stand(rng, x - side * 70, y)

    def owner_before(frame: int) -> Pose:
        return dataclasses.replace(calm(frame), bag=True)

    def thief(frame: int) -> Pose:
        t = frame - start
        if t < 15:  # the rush, then the grab
            place, arms = x - side * (70 - 60 * t / 15), (0.2, 0.9)
        else:
            place, arms = x - side * 10 + side * 5.0 * (t - 15), (0.6, 0.3)
        return Pose(place, y, t * 0.75, arms, tilt=side * 0.2, bag=t >= 15)

    def owner(frame: int) -> Pose:
        t = frame - start
        if t < 15:
            return owner_before(frame)
        chase = max(0, t - 22) * 3.4
        return Pose(x + side * chase, y, t * 0.6, (1.0, 1.0), tilt=side * 0.15)

    return [
        some_person(rng, _joined(start, end, lurk, thief, _gone)),
        some_person(rng, _joined(start, end, owner_before, owner, _gone)),
    ]


def collision(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """Two vehicles meet head-on, are thrown back and turned, and smoke."""
    del floor
    x, y = float(rng.uniform(110, 210)), float(rng.uniform(118, 142))
    pace = float(rng.uniform(3.5, 5.0))
    turns = rng.uniform(0.12, 0.35, 2)

    def one(facing: int) -> Callable[[int], Drive | None]:
        def drive(frame: int) -> Drive | None:
            t = frame - start
            if t < 0:
                return Drive(x - facing * (50 - pace * t), y + (facing < 0) * 4, facing=facing)
            if frame >= end:
                return None
            thrown = 26 * (1 - math.exp(-t / 5))
            rock = float(turns[int(facing > 0)]) * (1 - math.exp(-t / 3)) + 0.15 * math.exp(
                -t / 8
            ) * math.sin(t)
            return Drive(x - facing * (50 + thrown), y + (facing < 0) * 4, -facing * rock, facing)

        return drive

    cars = [vehicle(some_look(rng, 115), one(facing)) for facing in (-1, 1)]
    return [*cars, blast(rng, x, y - 12, start, end, 20.0)]


def explosion(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """A blast at a place; two people run from it."""
    x, y = float(rng.uniform(80, 240)), float(rng.uniform(*floor)) - 10
    actors = [blast(rng, x, y, start, end, float(rng.uniform(45, 75)))]
    for side in (-1, 1):
        calm = stand(rng, x + side * 45, y + 12)

        def run(frame: int, side: int = side) -> Pose:
            t = frame - start
            return Pose(x + side * (45 + 4.5 * t), y + 12, t * 0.8, (0.9, 0.9), tilt=side * 0.2)

        actors.append(some_person(rng, _joined(start, end, calm, run, _gone)))
    return actors


def fire(rng: Random, start: int, end: int, floor: tuple[float, float]) -> list[Actor]:
    """Flames that grow within two seconds and burn until the end of the span."""
    x, y = float(rng.uniform(60, 260)), float(rng.uniform(*floor))
    tall = float(rng.uniform(35, 65))

    def strength(frame: int) -> float:
        return tall * min(1.0, 0.15 + (frame - start) / 50) if start <= frame < end else 0.0

    return [flames(rng, x, y, start, strength)]


STORIES: dict[str, Callable[[Random, int, int, tuple[float, float]], list[Actor]]] = {
    "fight": fight,
    "collision": collision,
    "explosion": explosion,
    "fire": fire,
    "fall": fall,
    "theft": theft,
}
