"""Results of plays as the scoring rules see them: which end a plate appearance, are an at bat, a hit, a batted ball.

The codes are those of the API's list of event types. A code that is not here is a finding of the rule `events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlb_platform.quality.reconciliation_sql import quoted


@dataclass(frozen=True)
class Kind:
    """One result of a play; `in_play` is None where it can be with and without a batted ball."""

    code: str
    plate_appearance: bool
    at_bat: bool = False
    bases: int = 0
    in_play: bool | None = None


def _in_play(*codes: str, at_bat: bool = True) -> list[Kind]:
    return [Kind(code, plate_appearance=True, at_bat=at_bat, in_play=True) for code in codes]


KINDS = (
    *(
        Kind(code, plate_appearance=True, at_bat=True, bases=bases, in_play=True)
        for bases, code in enumerate(("single", "double", "triple", "home_run"), 1)
    ),
    *_in_play(
        "field_out", "force_out", "grounded_into_double_play", "grounded_into_triple_play", "double_play",
        "triple_play", "fielders_choice", "fielders_choice_out", "field_error",
    ),
    *_in_play("sac_fly", "sac_fly_double_play", "sac_bunt", "sac_bunt_double_play", at_bat=False),
    *(
        Kind(code, plate_appearance=True, at_bat=True, in_play=False)
        for code in ("strikeout", "strike_out", "strikeout_double_play", "strikeout_triple_play")
    ),
    *(Kind(code, plate_appearance=True, in_play=False) for code in ("walk", "intent_walk", "hit_by_pitch")),
    Kind("catcher_interf", plate_appearance=True),
    Kind("batter_interference", plate_appearance=True, at_bat=True),
    Kind("fan_interference", plate_appearance=True, at_bat=True),
    Kind("os_ruling_pending_primary", plate_appearance=True),
    *(
        Kind(code, plate_appearance=False)
        for code in (
            "balk", "batter_turn", "caught_stealing", "caught_stealing_2b", "caught_stealing_3b",
            "caught_stealing_home", "cs_double_play", "defensive_indiff", "ejection", "error", "fielder_interference",
            "forced_balk", "game_advisory", "injury", "mound_visit", "no_pitch", "os_ruling_pending_prior",
            "other_advance", "other_out", "passed_ball", "pickoff_1b", "pickoff_2b", "pickoff_3b",
            "pickoff_caught_stealing_2b", "pickoff_caught_stealing_3b", "pickoff_caught_stealing_home",
            "pickoff_error_1b", "pickoff_error_2b", "pickoff_error_3b", "runner_double_play", "runner_interference",
            "stolen_base", "stolen_base_2b", "stolen_base_3b", "stolen_base_home", "wild_pitch",
        )
    ),
)  # fmt: skip
"""Every result a play can have. A play that ends on the bases leaves its batter at the plate: no plate appearance."""

NAMES = {
    "Groundout": "field_out", "Bunt Groundout": "field_out", "Flyout": "field_out", "Lineout": "field_out",
    "Bunt Lineout": "field_out", "Pop Out": "field_out", "Bunt Pop Out": "field_out", "Field Out": "field_out",
    "Forceout": "force_out", "Grounded Into DP": "grounded_into_double_play",
    "Grounded Into TP": "grounded_into_triple_play", "Catcher Interference": "catcher_interf",
    "Runner Out": "other_out",
    "Fan interference": "fan_interference", "Fan Interference": "fan_interference", "Sac Fly DP": "sac_fly_double_play",
    "Sacrifice Bunt DP": "sac_bunt_double_play", "Strikeout - DP": "strikeout_double_play",
    "Sacrifice Fly": "sac_fly", "Stolen Base 2B": "stolen_base_2b",
}  # fmt: skip
"""Names of results whose code is not the name itself in lower case; feeds of 2018 have names only."""


def kinds_sql() -> str:
    """Return the results as a common table expression `kinds`."""
    rows = ", ".join(
        f"({quoted(k.code)}, {k.plate_appearance}, {k.at_bat}, {k.bases}, "
        f"{'NULL::boolean' if k.in_play is None else k.in_play})"
        for k in KINDS
    )
    return f"kinds (code, plate_appearance, at_bat, bases, in_play) AS (VALUES {rows})"


def names_sql() -> str:
    """Return the names of results as a common table expression `names`."""
    rows = ", ".join(f"({quoted(name)}, {quoted(code)})" for name, code in NAMES.items())
    return f"names (event, code) AS (VALUES {rows})"
