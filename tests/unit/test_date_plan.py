"""What is asked of the API for a date, and why: by what the schedule lists and what the raw store has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from mlb_platform.ingestion.dates.listings import GameState, Listing, game_state, listed_games
from mlb_platform.ingestion.dates.plan import (
    ENDPOINTS,
    REFERENCE_ROUNDS,
    GameFacts,
    Known,
    Mode,
    ReferenceFacts,
    plan_game,
    plan_reference,
    plan_schedule,
)

DAY, NEXT = date(2024, 7, 1), date(2024, 7, 2)
EVENING = datetime(2024, 7, 2, 3, tzinfo=UTC)  # 23:00 in New York
LATER = EVENING + timedelta(hours=8)
FEED, OTHERS = "game/live_game_v1", ["game/boxscore", "game/linescore", "game/play_by_play"]
FINAL = Listing("7", GameState.FINAL, DAY, "2024", "R", (10, 20), 5)


def seen(at: datetime, *, since: datetime | None = None, held: bool = False) -> Known:
    return Known(since or at, at, held)


def of_game(
    game: Listing,
    facts: GameFacts,
    day: date | None = DAY,
    mode: Mode = Mode.missing,
    wanted: tuple[str, ...] = ENDPOINTS,
) -> list[str]:
    return [p.request.name for p in plan_game(game, day, facts, mode, wanted, EVENING)]


def all_in(state: GameState = GameState.FINAL, feed: datetime = EVENING, others: datetime = LATER) -> GameFacts:
    return GameFacts(seen(feed), state, DAY, {name: seen(others) for name in OTHERS})


@pytest.mark.parametrize(
    ("abstract", "coded", "detailed", "state"),
    [
        ("Preview", "S", "Scheduled", GameState.PREVIEW),
        ("Preview", "P", "Delayed Start: Rain", GameState.PREVIEW),
        ("Live", "I", "In Progress", GameState.LIVE),
        ("Live", "P", "Warmup", GameState.LIVE),
        ("Live", "U", "Suspended: Rain", GameState.SUSPENDED),
        ("Live", "T", "Suspended: Rain", GameState.SUSPENDED),
        ("Final", "O", "Game Over", GameState.LIVE),
        ("Final", "F", "Final", GameState.FINAL),
        ("Final", "F", "Completed Early: Rain", GameState.FINAL),
        ("Final", "D", "Postponed", GameState.POSTPONED),
        ("Final", "C", "Cancelled", GameState.CANCELLED),
    ],
)
def test_states(abstract: str, coded: str, detailed: str, state: GameState) -> None:
    """Statuses of the API's own list of them."""
    assert game_state({"abstractGameState": abstract, "codedGameState": coded, "detailedState": detailed}) is state


def test_a_listing_cut_down_is_not_planned_from() -> None:
    """An answer to a request with `fields` lacks what decides; a game listed twice is one."""
    whole = {"gamePk": 7, "status": {"abstractGameState": "Final", "codedGameState": "F"}, "officialDate": "2024-07-01"}
    cut = {"gamePk": 7, "status": {"abstractGameState": "Final"}}
    assert listed_games({"games": [whole, cut]}) is None and listed_games({"totalItems": 1}) is None
    assert [g.game_pk for g in listed_games({"games": [whole, whole]}) or []] == ["7"]


@pytest.mark.parametrize(
    ("known", "listed", "asked"),
    [
        (None, None, True),
        (seen(LATER), None, True),
        (seen(LATER), [], False),
        (seen(EVENING), [], True),
        (seen(LATER), [FINAL], False),
        (seen(EVENING), [FINAL], True),
        (seen(LATER, held=True), [FINAL], True),
        (seen(LATER), [FINAL, replace(FINAL, state=GameState.SUSPENDED)], True),
        (seen(LATER), [replace(FINAL, state=GameState.POSTPONED), replace(FINAL, state=GameState.CANCELLED)], False),
    ],
)
def test_the_schedule_is_asked_for_until_the_date_is_over(
    known: Known | None, listed: list[Listing] | None, asked: bool
) -> None:
    """Over: by the clock of New York, with every game settled."""
    assert bool(plan_schedule(DAY, known, listed, Mode.missing)) is asked
    for mode in (Mode.reconcile, Mode.verify):
        assert len(plan_schedule(DAY, known, listed, mode)) == 1


def test_the_last_date_there_is_is_never_over() -> None:
    """No date comes after it by which that could be told."""
    assert plan_schedule(date.max, Known(EVENING, EVENING), [], Mode.missing)


def test_a_game_that_is_in_is_not_asked_for_again() -> None:
    """In its final state, with a box score that is no older; `reconcile` and `verify` ask all the same."""
    assert of_game(FINAL, all_in()) == []
    for mode in (Mode.reconcile, Mode.verify):
        assert of_game(FINAL, all_in(), mode=mode) == [FEED, *OTHERS]
    assert of_game(FINAL, GameFacts()) == [FEED, *OTHERS]
    assert of_game(FINAL, GameFacts(), wanted=("game/boxscore",)) == ["game/boxscore"]


def test_what_is_missing_old_or_held_is_asked_for() -> None:
    """Each answer by itself."""
    facts = all_in()
    assert of_game(FINAL, replace(facts, others={n: facts.others[n] for n in OTHERS[1:]})) == OTHERS[:1]
    assert of_game(FINAL, all_in(others=EVENING - timedelta(seconds=1))) == OTHERS
    assert of_game(FINAL, replace(facts, others={**facts.others, OTHERS[2]: seen(LATER, held=True)})) == OTHERS[2:]
    assert of_game(FINAL, replace(facts, feed=seen(EVENING, held=True))) == [FEED]
    # the same feed seen again later makes a box score no older
    assert of_game(FINAL, replace(facts, feed=seen(LATER + timedelta(days=1), since=EVENING))) == []


@pytest.mark.parametrize("state", [GameState.LIVE, GameState.SUSPENDED])
def test_a_game_under_way_is_asked_for_again(state: GameState) -> None:
    """So is one that is over by now, whatever was fetched of it before."""
    assert of_game(replace(FINAL, state=state), all_in(state)) == [FEED, *OTHERS]
    assert of_game(FINAL, all_in(state))[0] == FEED


def test_a_game_not_begun_has_a_feed_alone() -> None:
    """There is no box score before the first pitch."""
    preview = replace(FINAL, state=GameState.PREVIEW)
    assert of_game(preview, GameFacts()) == [FEED]
    assert of_game(preview, all_in(GameState.PREVIEW)) == [FEED]


def test_games_called_off() -> None:
    """No box score; moved: only its new date asks for it, and the old one once more where its feed still has it."""
    off = replace(FINAL, state=GameState.POSTPONED)
    assert of_game(off, GameFacts()) == [FEED]
    assert of_game(off, all_in(GameState.POSTPONED)) == []
    cancelled = replace(FINAL, state=GameState.CANCELLED)
    assert of_game(cancelled, GameFacts()) == [FEED] and of_game(cancelled, all_in(GameState.CANCELLED)) == []
    moved = replace(off, official=NEXT)
    for mode in Mode:
        assert of_game(moved, GameFacts(), mode=mode) == []
        assert of_game(moved, GameFacts(seen(EVENING), GameState.FINAL, NEXT), mode=mode) == []
        assert of_game(moved, GameFacts(seen(EVENING), GameState.PREVIEW, DAY), mode=mode) == [FEED]
    to_play = Listing("7", GameState.PREVIEW, NEXT)
    assert of_game(to_play, GameFacts(seen(EVENING), GameState.POSTPONED, DAY), day=NEXT) == [FEED]


def test_a_suspended_game_is_asked_for_once_for_both_dates() -> None:
    """What the first date brought, the second finds there."""
    assert of_game(FINAL, all_in(), day=NEXT) == [] == of_game(FINAL, all_in(), day=DAY)


def reference(facts: ReferenceFacts, now: datetime = LATER, mode: Mode = Mode.missing) -> list[tuple[str, str | None]]:
    wanted = [name for names in REFERENCE_ROUNDS for name in names]
    planned = plan_reference([FINAL], DAY, facts, mode, wanted, now)
    return [(p.request.name, p.request.entity_id) for p in planned]


def test_reference_data_only_as_far_as_it_is_new() -> None:
    """Rosters of the clubs once a date, seasons and teams once, people and places that were only named."""
    assert [name for name, _ in reference(ReferenceFacts())] == [
        "season/seasons", "team/teams", "team/team", "team/team", "team/roster", "team/roster",
    ]  # fmt: skip
    known = ReferenceFacts({"2024": LATER}, {"2024": LATER}, {"2024": {10, 20}}, {10, 20})
    assert reference(known) == []
    named = replace(known, people=range(1, 251), told_people={1, 250}, venues={5, 6}, told_venues={5})
    asked = reference(named)
    assert [name for name, _ in asked] == ["person/person"] * 3 + ["venue/venue"]
    ids = [i for name, text in asked for i in str(text).split(",") if name == "person/person"]
    assert ids == [str(n) for n in range(2, 250)] and asked[-1][1] == "6"
    assert reference(replace(known, told_teams={"2024": {10}})) == [("team/team", "20")]
    assert reference(replace(known, rosters={20})) == [("team/roster", "10")]


def test_the_running_season_is_asked_about_once_a_day() -> None:
    """And a season that is over once."""
    known = ReferenceFacts({"2024": EVENING}, {"2024": EVENING}, {"2024": {10, 20}}, {10, 20})
    same_evening, next_year = EVENING + timedelta(minutes=30), datetime(2025, 7, 1, tzinfo=UTC)
    assert reference(known, same_evening) == []
    assert [n for n, _ in reference(known, LATER)] == ["season/seasons", "team/teams"]
    assert reference(known, next_year) == []
    assert len(reference(known, next_year, Mode.reconcile)) == 4
