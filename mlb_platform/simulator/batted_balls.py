"""One batted ball: how hard, how high, where to, and who is nearest to it."""

from __future__ import annotations

from math import cos, radians, sin
from random import Random

from mlb_platform.simulator.people import Json, Player

_HOME_X, _HOME_Y = 125.4, 198.3
_FEET_A_POINT = 2.5


class BattedBall:
    """A ball in play; speed in mph, angles in degrees, distance in feet."""

    __slots__ = ("angle", "distance", "fielder", "speed", "spray", "trajectory")

    def __init__(self, rng: Random, batter: Player, bunt: bool = False) -> None:
        """Draw a batted ball of a batter."""
        pull = 8 if batter.bats == "L" else -8
        self.spray = max(-44.5, min(44.5, rng.gauss(pull, 22)))
        if bunt:
            self.speed, self.angle = round(rng.uniform(30, 55), 1), float(rng.randint(-60, -20))
            self.trajectory, self.distance = "bunt_grounder", float(rng.randint(4, 40))
            self.fielder = rng.choice("1123")
            return
        self.speed = round(min(117.0, max(35.0, rng.gauss(88.5 + batter.power * 1.5, 13.5))), 1)
        self.angle = float(round(max(-75, min(80, rng.gauss(11.5, 25)))))
        angle = self.angle
        if angle < 8:
            self.trajectory = "ground_ball"
            self.distance = float(round(max(2.0, 8 + (angle + 30) * 1.6 + rng.random() * 30)))
        else:
            carry = max(0.3, 1 - ((angle - 28) / 46) ** 2)
            flown = (self.speed / 100) ** 1.9 * 388 * carry + rng.gauss(0, 12)
            self.distance = float(round(min(489.0, max(25.0, flown))))
            self.trajectory = "line_drive" if angle < 22 else ("fly_ball" if angle < 50 else "popup")
        self.fielder = self._nearest(rng)

    def _nearest(self, rng: Random) -> str:
        if self.trajectory == "ground_ball" or self.distance < 160:
            if self.distance < 12 and rng.random() < 0.5:
                return rng.choice("12")
            if abs(self.spray) < 5 and rng.random() < 0.3:
                return "1"
            if self.spray < -22:
                return "5"
            if self.spray < 1:
                return "6"
            return "4" if self.spray < 26 else "3"
        return "7" if self.spray < -15 else ("8" if self.spray < 15 else "9")

    @property
    def hardness(self) -> str:
        """Give soft, medium or hard."""
        return "hard" if self.speed >= 97 else ("medium" if self.speed >= 70 else "soft")

    def data(self) -> Json:
        """Give the `hitData` object."""
        reach = self.distance if self.distance > 160 else max(self.distance, 60.0 if self.trajectory != "popup" else 0)
        if self.trajectory == "ground_ball":
            reach = 125.0 if self.fielder in "3456" else 45.0
        turn = radians(self.spray)
        return {
            "launchSpeed": self.speed,
            "launchAngle": self.angle,
            "totalDistance": self.distance,
            "trajectory": self.trajectory,
            "hardness": self.hardness,
            "location": self.fielder,
            "coordinates": {
                "coordX": round(_HOME_X + reach * sin(turn) / _FEET_A_POINT, 2),
                "coordY": round(_HOME_Y - reach * cos(turn) / _FEET_A_POINT, 2),
            },
        }
