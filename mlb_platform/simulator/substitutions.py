"""Changes of personnel: new pitchers, pinch hitters and runners, defensive changes, injuries, ejections."""

from __future__ import annotations

from mlb_platform.simulator.game_state import Side
from mlb_platform.simulator.officials import umpires
from mlb_platform.simulator.people import FIELDER_NAMES, POSITIONS, Player
from mlb_platform.simulator.play_builder import PlayBuilder


def before_half(play: PlayBuilder) -> None:
    """Make the changes at the start of a half-inning, as action events of its first play."""
    game, rng = play.game, play.game.rng
    side = game.fielding
    if game.inning == 4 and game.top and game.scheduled.position % 8 == 5:
        _umpire_change(play)
    for player, code, replaced in side.pending_switches:
        _take_position(play, side, player, code, replaced)
    side.pending_switches.clear()
    if game.inning >= 8 and game.lead < 0 and side.bench and rng.random() < 0.15:
        code = rng.choice("79")
        _defensive_substitution(play, side, side.fielders[code], "Defensive Sub", "defensive_substitution")
    used = len(side.roster[18:]) - len(side.bullpen)
    relieved = side.pitcher not in side.roster[13:18]
    tired = side.pitcher_pitches > side.pitcher_limit - 8 or (relieved and side.pitcher_pitches > 0 and used > 0)
    if game.inning > 1 and tired and (not relieved or rng.random() < 0.85):
        change_pitcher(play)


def before_batter(play: PlayBuilder) -> None:
    """Make the changes before a batter: injury, ejection, pinch runner, pinch hitter, new pitcher."""
    game, rng = play.game, play.game.rng
    side = game.fielding
    limit = side.pitcher_limit if side.pitcher in side.roster[13:18] else 32
    shaky = game.outs == 0 and any(game.bases) and side.pitcher_pitches > limit - 12
    if side.pitcher_faced >= 3 and (shaky or side.pitcher_pitches > limit):
        change_pitcher(play)
    draw = rng.random()
    if draw < 0.0015 and side.bench:
        _injury(play, side)
    elif draw < 0.003:
        _ejection(play)
    batting = game.batting
    if game.inning >= 7 and batting.bench:
        first = game.bases[0]
        if first is not None and first.player.speed < -0.4 and abs(game.lead) <= 2 and rng.random() < 0.25:
            _pinch_runner(play, batting)
        elif play.batter.contact < 0.2 and game.lead <= 1 and rng.random() < 0.14:
            _pinch_hitter(play, batting)


def change_pitcher(play: PlayBuilder) -> None:
    """Bring in the next reliever, if there is one."""
    side = play.game.fielding
    if not side.bullpen:
        return
    old, new = side.pitcher, side.bullpen.pop()
    side.fielders["1"] = new
    side.position_of[new.id] = "1"
    side.pitcher_pitches = side.pitcher_faced = 0
    play.pitcher = new
    play.action(
        "pitching_substitution", "Pitching Substitution", f"Pitching change: {new.name} replaces {old.name}.", new,
        seconds=120, isSubstitution=True, position=POSITIONS["1"],
    )  # fmt: skip


def _enter(side: Side, new: Player, old: Player) -> str:
    """Put a player into the line-up slot of another and give the new batting-order text."""
    slot = side.lineup.index(old)
    side.lineup[slot] = new
    side.entries[slot] += 1
    side.bench.remove(new)
    return side.slot_code(slot)


def _take_position(play: PlayBuilder, side: Side, player: Player, code: str, replaced: Player) -> None:
    side.position_of[player.id] = code
    if code != "10":
        side.fielders[code] = player
    slot = side.lineup.index(player)
    play.action(
        "defensive_switch", "Defensive Switch", f"{player.name} stays in as the {FIELDER_NAMES[code]}.", player,
        isSubstitution=True, position=POSITIONS[code], battingOrder=side.slot_code(slot), replacedPlayer=replaced.link,
    )  # fmt: skip


def _pinch_hitter(play: PlayBuilder, side: Side) -> None:
    old = play.batter
    new = play.game.rng.choice(side.bench)
    order = _enter(side, new, old)
    _plan_position(side, new, old)
    play.batter = new
    play.action(
        "offensive_substitution", "Offensive Substitution", f"Pinch-hitter {new.name} bats for {old.name}.", new,
        isSubstitution=True, position=POSITIONS["11"], battingOrder=order, replacedPlayer=old.link,
    )  # fmt: skip


def _pinch_runner(play: PlayBuilder, side: Side) -> None:
    runner = play.game.bases[0]
    assert runner is not None
    old, new = runner.player, max(side.bench, key=lambda player: player.speed)
    if old not in side.lineup:
        return
    order = _enter(side, new, old)
    _plan_position(side, new, old)
    runner.player = new
    play.action(
        "offensive_substitution", "Offensive Substitution", f"Pinch-runner {new.name} runs for {old.name}.", new,
        isSubstitution=True, position=POSITIONS["12"], battingOrder=order, replacedPlayer=old.link, base=1,
    )  # fmt: skip


def _plan_position(side: Side, new: Player, old: Player) -> None:
    """Remember to put a pinch player into the field; one who replaces such a player takes over his plan."""
    for n, (planned, code, replaced) in enumerate(side.pending_switches):
        if planned is old:
            side.pending_switches[n] = (new, code, replaced)
            return
    side.pending_switches.append((new, side.position_of[old.id], old))


def _defensive_substitution(play: PlayBuilder, side: Side, old: Player, event: str, kind: str) -> None:
    code = side.position_of[old.id]
    new = side.bench[0]
    order = _enter(side, new, old)
    side.position_of[new.id] = code
    side.fielders[code] = new
    play.action(
        kind, event, f"{new.name} replaces {FIELDER_NAMES[code]} {old.name}.", new, isSubstitution=True,
        position=POSITIONS[code], battingOrder=order, replacedPlayer=old.link,
    )  # fmt: skip


def _injury(play: PlayBuilder, side: Side) -> None:
    hurt = side.fielders[play.game.rng.choice("456789")]
    text = f"{hurt.name} leaves the game hurt."
    play.action("injury", "Injury", text, hurt, seconds=180, injuryType=play.game.rng.choice(("leg", "hand", "back")))
    _defensive_substitution(play, side, hurt, "Defensive Sub", "defensive_substitution")


def _ejection(play: PlayBuilder) -> None:
    """Eject the manager of the side at bat, who is in no roster."""
    manager_id = 990000 + play.game.batting.club.index
    manager = {"id": manager_id, "link": f"/api/v1/people/{manager_id}"}
    play.action("ejection", "Ejection", "The manager is ejected for arguing.", manager, seconds=60)


def _umpire_change(play: PlayBuilder) -> None:
    """Send the plate umpire off hurt; the one at first base goes behind the plate."""
    plate, first = (row["official"] for row in umpires(play.game.scheduled)[:2])
    text = f"{first['fullName']} moves behind the plate for {plate['fullName']}, who is hurt."
    umpire = {"id": first["id"], "link": first["link"]}
    play.action("umpire_substitution", "Umpire Substitution", text, None, seconds=180, umpire=umpire)
