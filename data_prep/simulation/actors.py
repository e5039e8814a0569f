"""What moves in a rendered clip: people, vehicles, fire, blasts; each draws itself at a frame.

Places are pixels of a picture of 320 x 240; times are frames. An actor draws on two pictures: the
scene, which darkens at night, and the light, which is added to it.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Draw = ImageDraw.ImageDraw
LIGHT_SCALE = 4  # the picture of light is that much smaller


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a person is, and the posture.

    Attributes:
        x, y: of the feet.
        stride: phase of the steps in radians; constant for a person who does not walk.
        arms: how far each arm is raised, 0 hanging .. 1 level.
        tilt: turn of the body in radians around the feet, 0 upright, pi / 2 lying.
        bag: whether the person carries a bag.
    """

    x: float
    y: float
    stride: float = 0.0
    arms: tuple[float, float] = (0.1, 0.1)
    tilt: float = 0.0
    bag: bool = False


@dataclasses.dataclass(frozen=True)
class Look:
    """Sizes and colours of an actor; size is a person's height or a vehicle's length at y = 240."""

    size: float
    body: Colour
    legs: Colour


@dataclasses.dataclass(frozen=True)
class Actor:
    """depth(frame) orders actors from back to front; draw(scene, light, frame) paints one."""

    depth: Callable[[int], float]
    draw: Callable[[Draw, Draw, int], None]


@dataclasses.dataclass(frozen=True)
class Drive:
    """Where a vehicle is: x, y of its middle at the ground, its tilt in radians, its direction."""

    x: float
    y: float
    tilt: float = 0.0
    facing: int = 1


_State = TypeVar("_State", Pose, Drive)


def _actor(
    look: Look,
    state: Callable[[int], _State | None],
    paint: Callable[[Draw, Draw, Look, _State, float], None],
) -> Actor:
    """An actor as `state` gives it for a frame, None while it is out of view.

    paint(scene, light, look, state, size) draws it, of the size that it has at its row.
    """

    def depth(frame: int) -> float:
        found = state(frame)
        return found.y if found else -1.0

    def draw(scene: Draw, light: Draw, frame: int) -> None:
        found = state(frame)
        if found:
            paint(scene, light, look, found, look.size * (0.45 + 0.55 * found.y / 240))

    return Actor(depth, draw)


def _places(state: Pose | Drive, size: float, facing: int = 1) -> Callable[..., Point]:
    """Gives the place of a point (right, up), in sizes from the ground, turned with the actor."""
    cos, sin = math.cos(state.tilt), math.sin(state.tilt)

    def at(right: float, up: float) -> Point:
        right *= facing
        return state.x + size * (right * cos + up * sin), state.y + size * (right * sin - up * cos)

    return at


def _disc(picture: Draw, x: float, y: float, radius: float, fill: Colour, scale: int = 1) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    picture.ellipse([value / scale for value in box], fill=fill)


def person(look: Look, pose: Callable[[int], Pose | None]) -> Actor:
    """A person that follows `pose`."""
    return _actor(look, pose, _draw_person)


def _draw_person(scene: Draw, light: Draw, look: Look, pose: Pose, height: float) -> None:
    at = _places(pose, height)
    thick = max(2, round(height * 0.12))
    scene.ellipse(
        (pose.x - height * 0.2, pose.y - 2, pose.x + height * 0.2, pose.y + 3), fill=(25, 25, 28)
    )
    swing = 0.17 * math.sin(pose.stride)
    for side in (-1, 1):
        scene.line([at(0, 0.48), at(side * swing, 0.0)], fill=look.legs, width=thick)
    scene.line([at(0, 0.45), at(0, 0.8)], fill=look.body, width=round(height * 0.24))
    for side, raised in zip((-1, 1), pose.arms, strict=True):
        angle = raised * math.pi / 2
        reach = 0.36
        hand = at(side * (0.1 + reach * math.sin(angle)), 0.78 - reach * math.cos(angle))
        scene.line([at(side * 0.1, 0.78), hand], fill=look.body, width=max(2, thick - 1))
        if pose.bag and side == 1:
            x, y = hand
            scene.rectangle((x - thick, y, x + thick, y + 2 * thick), fill=(140, 60, 20))
    _disc(scene, *at(0, 0.92), height * 0.085, (205, 165, 135))


def vehicle(look: Look, drive: Callable[[int], Drive | None]) -> Actor:
    """A vehicle with headlights that follows `drive`."""
    return _actor(look, drive, _draw_vehicle)


def _draw_vehicle(scene: Draw, light: Draw, look: Look, drive: Drive, length: float) -> None:
    at = _places(drive, length, drive.facing)
    scene.polygon([at(-0.5, 0.08), at(0.5, 0.08), at(0.5, 0.24), at(-0.5, 0.28)], fill=look.body)
    roof = [at(-0.34, 0.26), at(-0.24, 0.42), at(0.14, 0.42), at(0.3, 0.25)]
    scene.polygon(roof, fill=look.legs)
    for place in (-0.3, 0.3):
        _disc(scene, *at(place, 0.08), length * 0.085, (18, 18, 18))
    _disc(light, *at(0.52, 0.17), length * 0.12, (120, 115, 80), LIGHT_SCALE)


def flames(
    rng: np.random.Generator, x: float, y: float, first: int, strength: Callable[[int], float]
) -> Actor:
    """Fire at a place: tongues that flicker, smoke that rises. strength(frame) is its height."""
    phases = rng.uniform(0, 2 * math.pi, (24, 3))

    def draw(scene: Draw, light: Draw, frame: int) -> None:
        height = strength(frame)
        if height < 1:
            return
        age = frame - first
        for i, (one, two, three) in enumerate(phases):
            rise = (age * (0.6 + 0.3 * math.sin(three)) + 20 * one) % 90
            drift = 8 * math.sin(two + age / 17) + rise * 0.25
            grey = 70 + round(25 * math.sin(three))
            radius = 2 + height * (0.1 + 0.004 * rise)
            top = y - height * 0.7 - rise * height / 40
            if i % 2:
                _disc(scene, x + drift, top, radius, (grey, grey, grey))
        for one, two, three in phases:
            sway = height * 0.45 * math.sin(one * 5)
            tall = height * (0.55 + 0.45 * math.sin(two + age * (0.7 + 0.2 * math.sin(three))))
            wide = height * 0.14
            colour = (255, 130 + round(80 * math.sin(three + age)), 30)
            left, right = (x + sway - wide, y), (x + sway + wide, y)
            tip = (x + sway * 0.6 + 3 * math.sin(age * 0.9 + one), y - tall)
            scene.polygon([left, right, tip], fill=colour)
            light.polygon(
                [(px / LIGHT_SCALE, py / LIGHT_SCALE) for px, py in (left, right, tip)],
                fill=(150, 80, 15),
            )

    return Actor(lambda frame: y, draw)


def blast(rng: np.random.Generator, x: float, y: float, first: int, end: int, size: float) -> Actor:
    """An explosion: a flash, a ball of fire that grows, pieces that fly, smoke until `end`."""
    angles = rng.uniform(0, 2 * math.pi, 30)
    speeds = rng.uniform(1.5, 6.0, 30)

    def draw(scene: Draw, light: Draw, frame: int) -> None:
        if not first <= frame < end:
            return
        age = frame - first
        if age < 4:
            light.rectangle((0, 0, 80, 60), fill=(230 - 50 * age,) * 3)
        ball = size * (1 - math.exp(-age / 4)) * math.exp(-age / 28)
        smoke = size * (1 - math.exp(-age / 14)) * 1.1
        fade = math.exp(-age / 70)
        for i, angle in enumerate(angles[:14]):
            spread = smoke * (0.5 + 0.4 * math.sin(i * 2.4 + age / 9))
            px, py = x + spread * math.cos(angle), y - age * 0.5 + 0.6 * spread * math.sin(angle)
            radius = smoke * 0.42 * fade
            grey = 45 + 3 * i
            _disc(scene, px, py, radius, (grey, grey, grey))
        for radius, colour in ((ball, (230, 90, 20)), (ball * 0.6, (255, 210, 90))):
            _disc(scene, x, y, radius, colour)
            _disc(light, x, y, radius, (170, 100, 30), LIGHT_SCALE)
        for angle, speed in zip(angles, speeds, strict=True):
            if age < 35:
                px = x + speed * age * math.cos(angle)
                py = y + speed * age * math.sin(angle) * 0.7 + 0.08 * age * age
                scene.rectangle((px - 1, py - 1, px + 2, py + 2), fill=(60, 50, 40))

    return Actor(lambda frame: y + 1, draw)
