"""One pitch: type, speed, flight, spin, plate location and the strike zone it is judged by."""

from __future__ import annotations

from random import Random

from mlb_platform.simulator.people import Json, Player

# code: name, speed against the fastball (mph), break x and z (inches), spin (rpm), spin direction, trail colour
PITCH_TYPES: dict[str, tuple[str, float, float, float, int, int, str]] = {
    "FF": ("Four-Seam Fastball", 0.0, -4.0, 9.5, 2300, 205, "rgba(200, 10, 40, 1.0)"),
    "SI": ("Sinker", -1.0, -8.5, 4.5, 2150, 230, "rgba(60, 10, 210, 1.0)"),
    "FC": ("Cutter", -4.5, 1.5, 5.0, 2400, 180, "rgba(20, 120, 60, 1.0)"),
    "SL": ("Slider", -8.5, 2.8, 0.8, 2450, 110, "rgba(10, 10, 240, 1.0)"),
    "ST": ("Sweeper", -11.0, 8.5, 0.5, 2600, 85, "rgba(130, 10, 130, 1.0)"),
    "CU": ("Curveball", -14.5, 5.0, -7.0, 2550, 40, "rgba(10, 50, 245, 1.0)"),
    "KC": ("Knuckle Curve", -13.0, 4.0, -6.5, 2500, 45, "rgba(20, 80, 240, 1.0)"),
    "CH": ("Changeup", -8.5, -7.5, 3.8, 1750, 245, "rgba(240, 130, 20, 1.0)"),
    "FS": ("Splitter", -8.0, -5.5, 2.2, 1400, 250, "rgba(240, 180, 30, 1.0)"),
}
CALLS: dict[str, tuple[str, bool, bool, bool]] = {
    "B": ("Ball", False, False, True),
    "*B": ("Ball In Dirt", False, False, True),
    "P": ("Pitchout", False, False, True),
    "C": ("Called Strike", False, True, False),
    "S": ("Swinging Strike", False, True, False),
    "W": ("Swinging Strike (Blocked)", False, True, False),
    "T": ("Foul Tip", False, True, False),
    "F": ("Foul", False, True, False),
    "L": ("Foul Bunt", False, True, False),
    "M": ("Missed Bunt", False, True, False),
    "X": ("In play, out(s)", True, False, False),
    "D": ("In play, no out", True, False, False),
    "E": ("In play, run(s)", True, False, False),
    "H": ("Hit By Pitch", False, False, False),
    "VB": ("Automatic Ball - Intentional", False, False, True),
    "VP": ("Automatic Ball - Pitcher Pitch Timer Violation", False, False, True),
    "AC": ("Automatic Strike - Batter Pitch Timer Violation", False, True, False),
}
CALL_OBJECTS: dict[str, Json] = {code: {"code": code, "description": call[0]} for code, call in CALLS.items()}
_TYPE_OBJECTS: dict[str, Json] = {code: {"code": code, "description": kind[0]} for code, kind in PITCH_TYPES.items()}
_BALL_COLORS = {"B": "rgba(40, 150, 50, 1.0)", "S": "rgba(165, 30, 20, 1.0)", "X": "rgba(30, 90, 180, 1.0)"}
_HALF_PLATE = 0.83
_GRAVITY = 32.174


class Location:
    """Where a pitch crosses the plate, in feet from the catcher's view, and whether that is in the zone."""

    __slots__ = ("in_zone", "pitch_type", "px", "pz")

    def __init__(self, rng: Random, pitcher: Player, batter: Player, balls: int, strikes: int) -> None:
        """Draw pitch type and location for a count."""
        draw = rng.random()
        self.pitch_type = pitcher.arsenal[0][0]
        for code, weight in pitcher.arsenal:
            draw -= weight
            if draw <= 0:
                self.pitch_type = code
                break
        spread = 0.78 if strikes < 2 else 0.9
        if balls == 3:
            spread = 0.7
        middle = (batter.zone_top + batter.zone_bottom) / 2
        self.px = rng.gauss(0.1 if pitcher.throws == "R" else -0.1, spread)
        self.pz = rng.gauss(middle - 0.1, spread * 1.05)
        self.in_zone = abs(self.px) <= _HALF_PLATE and batter.zone_bottom <= self.pz <= batter.zone_top


def zone_of(px: float, pz: float, top: float, bottom: float) -> int:
    """Give the zone number: 1 to 9 in the strike zone, 11 to 14 around it."""
    if abs(px) <= _HALF_PLATE and bottom <= pz <= top:
        column = min(2, int((px + _HALF_PLATE) / (2 * _HALF_PLATE / 3)))
        row = min(2, int((top - pz) / ((top - bottom) / 3)))
        return row * 3 + column + 1
    return (11 if pz > (top + bottom) / 2 else 13) + (1 if px > 0 else 0)


def pitch_details(code: str, pitch_type: str, is_out: bool) -> Json:
    """Give the `details` of a pitch event with a call code."""
    description, in_play, strike, ball = CALLS[code]
    return {
        "call": CALL_OBJECTS[code],
        "description": description,
        "code": code,
        "ballColor": _BALL_COLORS["X" if in_play else ("S" if strike else "B")],
        "trailColor": PITCH_TYPES[pitch_type][6],
        "isInPlay": in_play,
        "isStrike": strike,
        "isBall": ball,
        "type": _TYPE_OBJECTS[pitch_type],
        "isOut": is_out,
        "hasReview": False,
    }


def pitch_data(rng: Random, pitcher: Player, batter: Player, location: Location) -> Json:
    """Give the `pitchData` of a pitch: a flight under constant acceleration that ends at the location."""
    _, slower, break_x, break_z, spin, direction, _ = PITCH_TYPES[location.pitch_type]
    draw, gauss = rng.random, rng.gauss
    right = pitcher.throws == "R"
    base = 93.6 + (1.5 if not pitcher.starter else 0.0) + pitcher.power * 1.4
    speed = round(min(104.0, base + slower + gauss(0, 0.9)), 1)
    pfx_x = (break_x if right else -break_x) + gauss(0, 1.3)
    pfx_z = break_z + gauss(0, 1.3)
    x0 = (-1.8 if right else 1.8) + gauss(0, 0.15)
    z0 = 5.9 + pitcher.speed * 0.15 + gauss(0, 0.08)
    vy0 = -speed * 1.4645 + draw() * 0.1
    ay = 22.0 + (speed - 70) * 0.3 + draw() * 2
    # time from 50 feet to the front of the plate (1.417 feet)
    root = (vy0 * vy0 - 2 * ay * 48.583) ** 0.5
    time = (-vy0 - root) / ay
    short = 40 / (speed * 1.43)
    ax = pfx_x / 6 / (short * short)
    az = pfx_z / 6 / (short * short) - _GRAVITY
    px, pz = location.px, location.pz
    vx0 = (px - x0 - 0.5 * ax * time * time) / time
    vz0 = (pz - z0 - 0.5 * az * time * time) / time
    top = batter.zone_top + draw() * 0.12 - 0.06
    bottom = batter.zone_bottom + draw() * 0.08 - 0.04
    induced = round(pfx_z * 1.75, 1)
    return {
        "startSpeed": speed,
        "endSpeed": round(speed * 0.915 + draw(), 1),
        "strikeZoneTop": top,
        "strikeZoneBottom": bottom,
        "coordinates": {
            "aY": ay,
            "aZ": az,
            "pfxX": pfx_x,
            "pfxZ": pfx_z,
            "pX": px,
            "pZ": pz,
            "vX0": vx0,
            "vY0": vy0,
            "vZ0": vz0,
            "x": round(117 - px * 38.1, 2),
            "y": round(238.8 - pz * 27, 2),
            "x0": x0,
            "y0": 50.0 + draw() * 0.007,
            "z0": z0,
            "aX": ax,
        },
        "breaks": {
            "breakAngle": round(abs(pfx_x) * 3.2, 1),
            "breakLength": round(max(1.2, 12.5 - pfx_z * 0.7), 1),
            "breakY": 24.0,
            "breakVertical": round(induced - 386 * time * time * 0.5, 1),
            "breakVerticalInduced": induced,
            "breakHorizontal": round(-pfx_x * 1.75, 1),
            "spinRate": int(gauss(spin, 90)),
            "spinDirection": int((direction if right else 360 - direction) + gauss(0, 6)) % 360,
        },
        "zone": zone_of(px, pz, top, bottom),
        "typeConfidence": round(0.85 + draw() * 0.14, 2),
        "plateTime": time,
        "extension": 6.3 + gauss(0, 0.25),
    }
