"""What happens to whole games: states as the API lists them, delays, suspensions, postponements, overturned calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import orjson
import pytest
from feed_identities import all_differences

from mlb_platform.simulator import live_capture, preview_capture, simulate_games
from mlb_platform.simulator.captures import SimulatedCapture, make_capture
from mlb_platform.simulator.events import (
    STATES,
    EventRates,
    GameEvents,
    before_review,
    draw_events,
    feed_status,
    in_state,
    overturned_plays,
    play_with_events,
    postponed,
)
from mlb_platform.simulator.feed import capture_time
from mlb_platform.simulator.game import Game, play_game
from mlb_platform.simulator.generation import season_schedule
from mlb_platform.simulator.schedule import games_on
from tests.unit.test_simulator_consistency import check_runners_and_scores

DAY = date(2024, 7, 1)
SEED = 3
PLAIN = next(game for game in games_on(DAY) if game.makeup_of is None and game.resumed_on is None)


def final(game: Game) -> SimulatedCapture:
    return make_capture(game, "Final", capture_time(game))


def instants(game: Game) -> list[datetime]:
    texts = [event["startTime"] for play in game.plays for event in play["playEvents"]]
    return [datetime.fromisoformat(text.removesuffix("Z")) for text in texts]


def test_every_state_has_a_status_with_a_reason_where_it_rains() -> None:
    for state in STATES:
        status = feed_status(state)
        assert ("reason" in status) == ("Rain" in state)
        assert status["abstractGameCode"] == status["abstractGameState"][0]
    with pytest.raises(ValueError, match="no game state"):
        feed_status("Tea Break")


def test_events_are_drawn_by_seed_and_game_alone_and_as_often_as_asked() -> None:
    games = [game for n in range(20) for game in games_on(DAY + timedelta(days=n))]
    drawn = [draw_events(game, SEED) for game in games]
    assert drawn == [draw_events(game, SEED) for game in games] != [draw_events(game, SEED + 1) for game in games]
    assert {draw_events(game, 1, EventRates(0, 0, 0, 0, 0)) for game in games} == {GameEvents()}
    assert all(draw_events(game, 1, EventRates(0, 0, 0, 0, 0, 1)) == GameEvents(extra_innings=True) for game in games)
    free = [game for game in games if game.makeup_of is None and game.resumed_on is None]
    assert all(draw_events(game, 1, EventRates(0, 0, 1)).postponed_to for game in free)
    assert all(draw_events(game, 1, EventRates(0, 0, 0, 1)).cancelled for game in free)


def test_a_game_goes_into_extra_innings_where_it_must_with_a_runner_placed_on_second_base() -> None:
    for scheduled in games_on(DAY)[:4]:
        game = play_with_events(scheduled, SEED, GameEvents(extra_innings=True))
        assert game == play_with_events(scheduled, SEED, GameEvents(extra_innings=True))
        halves = {(p["about"]["inning"], p["about"]["halfInning"]): p for p in reversed(game.plays)}
        extra = {half: play for half, play in halves.items() if half[0] > 9}
        assert extra
        for first in extra.values():
            placed = [r for r in first["runners"] if r["details"]["eventType"] == "runner_placed"]
            assert [r["movement"]["end"] for r in placed] == ["2B"]
        assert all_differences(final(game).payload) == []


@pytest.mark.parametrize("at", [0, 20])
def test_a_delay_moves_everything_after_it_and_is_announced(at: int) -> None:
    plain = play_game(PLAIN, SEED)
    game = play_with_events(PLAIN, SEED, GameEvents(delay_minutes=40, delay_at_play=at))
    assert game.plays[:at] == plain.plays[:at]
    words = [event["details"]["description"] for event in game.plays[at]["playEvents"][:2]]
    assert words == [
        f"Status Change - {'Delayed: Rain' if at else 'Delayed Start: Rain'}",
        "Status Change - In Progress",
    ]
    assert [play["result"] for play in game.plays] == [play["result"] for play in plain.plays]
    assert instants(game)[-1] - instants(plain)[-1] == timedelta(minutes=40)
    assert instants(game) == sorted(instants(game))
    info, before = (final(g).payload["gameData"]["gameInfo"] for g in (game, plain))
    assert info["delayDurationMinutes"] == 40 and info["gameDurationMinutes"] == before["gameDurationMinutes"]
    check_runners_and_scores(final(game).payload)
    for play in game.plays:
        assert [event["index"] for event in play["playEvents"]] == list(range(len(play["playEvents"])))
        assert sorted(play["pitchIndex"] + play["actionIndex"]) == list(range(len(play["playEvents"])))


def test_a_suspended_game_ends_on_the_date_it_resumes_and_keeps_its_official_date() -> None:
    events = GameEvents(suspended_after_play=30, resumes_on=DAY + timedelta(days=1))
    game = play_with_events(PLAIN, SEED, events)
    capture = final(game)
    when = capture.payload["gameData"]["datetime"]
    assert (when["officialDate"], when["resumeDate"]) == ("2024-07-01", "2024-07-02")
    assert capture.official_date == DAY and instants(game) == sorted(instants(game))
    assert instants(game)[-1].date() >= date(2024, 7, 2)
    played = capture.payload["gameData"]["gameInfo"]["gameDurationMinutes"]
    assert abs(played - final(play_game(PLAIN, SEED)).payload["gameData"]["gameInfo"]["gameDurationMinutes"]) <= 1
    check_runners_and_scores(capture.payload)
    told = in_state(live_capture(capture, 30), "Suspended: Rain").payload["gameData"]["status"]
    assert (told["codedGameState"], told["abstractGameState"], told["reason"]) == ("U", "Live", "Rain")


def test_a_postponed_game_is_told_off_and_played_later_under_its_id() -> None:
    to = DAY + timedelta(days=3)
    capture = final(play_with_events(PLAIN, SEED, GameEvents(postponed_to=to)))
    off = postponed(preview_capture(final(play_game(PLAIN, SEED))), to)
    status, when = (off.payload["gameData"][name] for name in ("status", "datetime"))
    assert (status["codedGameState"], status["abstractGameState"]) == ("D", "Final")
    assert (when["officialDate"], when["rescheduleGameDate"]) == ("2024-07-01", "2024-07-04")
    assert off.payload["liveData"]["plays"]["allPlays"] == []
    assert capture.game_pk == off.game_pk and capture.official_date == to and off.captured_at < capture.captured_at
    assert capture.payload["gameData"]["datetime"]["rescheduledFromDate"] == "2024-07-01"
    with pytest.raises(ValueError, match="cancelled"):
        play_with_events(PLAIN, SEED, GameEvents(cancelled=True))


def test_a_state_that_does_not_fit_the_plays_is_refused() -> None:
    capture = final(play_game(PLAIN, SEED))
    with pytest.raises(ValueError, match="has plays"):
        in_state(capture, "Warmup")
    with pytest.raises(ValueError, match="has no plays"):
        in_state(preview_capture(capture), "In Progress")


def test_an_overturned_call_takes_a_hit_away_and_both_states_agree_with_themselves() -> None:
    found = 0
    for scheduled in games_on(DAY):
        game = play_with_events(scheduled, SEED, GameEvents(overturned_play=True))
        check_runners_and_scores(final(game).payload)
        for n in overturned_plays(game):
            found += 1
            early = before_review(game, n)
            before = make_capture(early, "Live", capture_time(early, 0.2)).payload
            shown = replace(game, plays=game.plays[: n + 1])
            after = make_capture(shown, "Live", capture_time(shown, 1)).payload
            check_runners_and_scores(before)
            hits = [sum(t["hits"] for t in p["liveData"]["linescore"]["teams"].values()) for p in (before, after)]
            outs = [p["liveData"]["plays"]["allPlays"][n]["count"]["outs"] for p in (before, after)]
            assert hits[0] == hits[1] + 1 and outs[0] == outs[1] - 1
            assert before["liveData"]["plays"]["allPlays"][n]["reviewDetails"]["inProgress"] is True
            assert after["liveData"]["plays"]["allPlays"][n]["reviewDetails"]["isOverturned"] is True
    assert found >= 5


def test_a_season_has_2430_games_between_the_end_of_march_and_of_september_and_no_id_twice() -> None:
    games = season_schedule(2024)
    assert len(games) == len({game.pk for game in games}) == 2430
    assert (games[0].day, games[-1].day) == (date(2024, 3, 28), date(2024, 9, 29))


def test_the_same_games_are_made_again() -> None:
    first = orjson.dumps(next(simulate_games(1, DAY, SEED)).payload)
    assert orjson.dumps(final(play_game(games_on(DAY)[0], SEED)).payload) == first
