"""People of the simulated league: players with biography, abilities and season rates; officials."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any

from mlb_platform.simulator import words

Json = dict[str, Any]

_POSITION_ROWS = (
    ("1", "Pitcher", "Pitcher", "P"),
    ("2", "Catcher", "Catcher", "C"),
    ("3", "First Base", "Infielder", "1B"),
    ("4", "Second Base", "Infielder", "2B"),
    ("5", "Third Base", "Infielder", "3B"),
    ("6", "Shortstop", "Infielder", "SS"),
    ("7", "Outfielder", "Outfielder", "LF"),
    ("8", "Outfielder", "Outfielder", "CF"),
    ("9", "Outfielder", "Outfielder", "RF"),
    ("10", "Designated Hitter", "Hitter", "DH"),
    ("11", "Pinch Hitter", "Hitter", "PH"),
    ("12", "Pinch Runner", "Runner", "PR"),
)
POSITIONS: dict[str, Json] = {
    code: {"code": code, "name": name, "type": kind, "abbreviation": short}
    for code, name, kind, short in _POSITION_ROWS
}
FIELDER_NAMES = {
    "1": "pitcher",
    "2": "catcher",
    "3": "first baseman",
    "4": "second baseman",
    "5": "third baseman",
    "6": "shortstop",
    "7": "left fielder",
    "8": "center fielder",
    "9": "right fielder",
    "10": "designated hitter",
}
_FIRST_SEASON, _GENERATION = 2020, 6
SIDES = {"R": "Right", "L": "Left", "S": "Switch"}


def side(code: str) -> Json:
    """Give the code-and-description object of a batting side or throwing hand."""
    return {"code": code, "description": SIDES[code]}


def reference(person_id: int, full_name: str) -> Json:
    """Give the id, name and link by which a feed refers to a person."""
    return {"id": person_id, "fullName": full_name, "link": f"/api/v1/people/{person_id}"}


@dataclass(eq=False, slots=True)
class Player:
    """A player of a roster: who it is, what it can do, and what it has done per club game this season."""

    id: int
    first: str
    middle: str
    last: str
    number: str
    position: str
    bats: str
    throws: str
    starter: bool
    contact: float
    power: float
    eye: float
    speed: float
    zone_top: float
    zone_bottom: float
    arsenal: tuple[tuple[str, float], ...]
    rates: tuple[float, ...]
    biography: Json
    ref: Json = field(default_factory=dict)
    link: Json = field(default_factory=dict)
    name: str = ""
    boxscore_name: str = ""


_ARSENALS = (
    (("FF", 0.55), ("SL", 0.27), ("CH", 0.18)),
    (("SI", 0.42), ("FF", 0.18), ("ST", 0.22), ("CH", 0.18)),
    (("FF", 0.45), ("CU", 0.25), ("CH", 0.18), ("FC", 0.12)),
    (("FC", 0.40), ("SI", 0.25), ("KC", 0.20), ("FS", 0.15)),
    (("FF", 0.48), ("FS", 0.24), ("SL", 0.28)),
)


def make_player(rng: Random, person_id: int, position: str, starter: bool, last: str, number: int) -> Player:
    """Invent one player; `starter` says starting pitcher or everyday player, `last` is the family name."""
    first, middle = rng.choice(words.FIRST_NAMES), rng.choice(words.MIDDLE_NAMES)
    pitcher = position == "1"
    throws = "L" if position in "13789" and rng.random() < 0.28 else "R"
    draw = rng.random()
    bats = throws if pitcher or draw < 0.7 else ("S" if draw < 0.82 else ("L" if throws == "R" else "R"))
    height = rng.randint(69, 78)
    top = round(height * 0.0465 + rng.uniform(-0.08, 0.08), 3)
    country, home = words.COUNTRIES[rng.randrange(len(words.COUNTRIES))]
    born = date(rng.randint(1986, 1997), rng.randint(1, 12), rng.randint(1, 28))
    name = f"{first} {last}"
    full = f"{first} {middle} {last}"
    biography: Json = {
        "id": person_id,
        "fullName": name,
        "link": f"/api/v1/people/{person_id}",
        "firstName": first,
        "lastName": last,
        "primaryNumber": str(number),
        "birthDate": born.isoformat(),
        "currentAge": 0,
        "birthCity": rng.choice(words.TOWNS),
    }
    if home:
        biography["birthStateProvince"] = rng.choice(words.STATES)
    biography |= {
        "birthCountry": country,
        "height": f"{height // 12}' {height % 12}\"",
        "weight": rng.randint(165, 255),
        "active": rng.random() < 0.93,
        "primaryPosition": POSITIONS[position],
        "useName": first,
        "useLastName": last,
        "middleName": middle,
        "boxscoreName": last,
    }
    if rng.random() < 0.45:
        biography["nickName"] = rng.choice(words.NICKNAMES)
    biography |= {"gender": "M", "isPlayer": True, "isVerified": rng.random() < 0.8}
    if not home:
        biography["nameMatrilineal"] = rng.choice(words.LAST_NAMES)
        biography["pronunciation"] = f"{first[:3].upper()}-{first[3:].lower() or 'oh'} {last.upper()}"
    else:
        biography["draftYear"] = born.year + 21
    if rng.random() < 0.04:
        biography["nameTitle"] = biography["nameSuffix"] = rng.choice(("Jr.", "II", "III"))
    if rng.random() < 0.02:
        biography["lastPlayedDate"] = born.isoformat()
    slug = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace(" ", "-")
    biography |= {
        "mlbDebutDate": date(born.year + 22, rng.randint(4, 9), rng.randint(1, 28)).isoformat(),
        "batSide": side(bats),
        "pitchHand": side(throws),
        "nameFirstLast": name,
        "nameSlug": f"{slug}-{person_id}",
        "firstLastName": name,
        "lastFirstName": f"{last}, {first}",
        "lastInitName": f"{last}, {first[0]}",
        "initLastName": f"{first[0]} {last}",
        "fullFMLName": full,
        "fullLFMName": f"{last}, {first} {middle}",
        "strikeZoneTop": top,
        "strikeZoneBottom": round(top * 0.465, 3),
    }
    contact, power, eye = rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1)
    if pitcher:
        outs = rng.uniform(14, 18) / 5 if starter else rng.uniform(3, 4) / 2.6
        rates = (outs, rng.uniform(0.2, 0.27), rng.uniform(0.07, 0.1), rng.uniform(0.09, 0.16), rng.uniform(0.6, 0.67))
    else:
        plate = rng.uniform(3.5, 4.3) if starter else rng.uniform(0.9, 2.2)
        rates = (plate, 0.245 + contact * 0.022, 0.085 + eye * 0.015, 0.22 - contact * 0.03, 0.032 + power * 0.01)
    player = Player(
        id=person_id,
        first=first,
        middle=middle,
        last=last,
        number=str(number),
        position=position,
        bats=bats,
        throws=throws,
        starter=starter,
        contact=contact,
        power=power,
        eye=eye,
        speed=rng.gauss(0, 1),
        zone_top=top,
        zone_bottom=round(top * 0.465, 3),
        arsenal=rng.choice(_ARSENALS) if pitcher else (),
        rates=rates,
        biography=biography,
        name=name,
        boxscore_name=last,
    )
    player.ref = reference(person_id, name)
    player.link = {"id": person_id, "link": f"/api/v1/people/{person_id}"}
    return player


def biography_on(player: Player, day: date) -> Json:
    """Give the biography as a feed of a day shows it; the player's own is never changed.

    Every six seasons a new generation, born six years later, takes over, so that ages are those of players in any year.
    """
    known = dict(player.biography)
    years = (day.year - _FIRST_SEASON) // _GENERATION * _GENERATION
    if years:
        for key in ("birthDate", "mlbDebutDate"):
            known[key] = f"{int(known[key][:4]) + years:04d}{known[key][4:]}"
        if "draftYear" in known:
            known["draftYear"] += years
    born = date.fromisoformat(known["birthDate"])
    known["currentAge"] = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    # feeds are made anew long after their games: they then tell of what came later
    if "lastPlayedDate" in known:
        known["lastPlayedDate"] = (day + timedelta(days=40)).isoformat()
    if "deathCity" in known:
        known["deathDate"] = (day + timedelta(days=900)).isoformat()
    return known
