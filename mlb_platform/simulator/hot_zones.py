"""A batter's hot and cold zones, which the feed shows with its current play."""

from __future__ import annotations

from random import Random

from mlb_platform.simulator.people import Json

_ZONES = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "11", "12", "13", "14")
_HEAT = (
    ("cold", "rgba(20, 80, 220, .55)"),
    ("cool", "rgba(140, 180, 250, .55)"),
    ("lukewarm", "rgba(250, 250, 250, .55)"),
    ("warm", "rgba(230, 150, 150, .55)"),
    ("hot", "rgba(205, 50, 60, .55)"),
)


def _zones(rng: Random, name: str) -> list[Json]:
    rows = []
    for zone in _ZONES:
        share = rng.random()
        temp, color = _HEAT[min(4, int(share * 5))]
        value = {
            "exitVelocity": f"{75 + share * 25:.2f}",
            "battingAverage": f"{share * 0.5:.3f}"[1:],
            "onBasePlusSlugging": f"{share * 1.5:.3f}",
        }[name]
        rows.append({"zone": zone, "color": color, "temp": temp, "value": value})
    return rows


def with_hot_zones(play: Json) -> Json:
    """Give a copy of a play whose match-up has the batter's zones; the play itself stays as it is."""
    matchup = play["matchup"]
    rng = Random(f"zones:{matchup['batter']['id']}")
    splits = [
        {"stat": {"name": name, "zones": _zones(rng, name)}}
        for name in ("battingAverage", "onBasePlusSlugging", "exitVelocity")
    ]
    stats = {
        "type": {"displayName": "hotColdZones"},
        "group": {"displayName": "hitting"},
        "exemptions": [],
        "splits": splits,
    }
    shown = {"batterHotColdZoneStats": {"stats": [stats]}, "batterHotColdZones": splits[0]["stat"]["zones"]}
    return play | {"matchup": matchup | shown}
