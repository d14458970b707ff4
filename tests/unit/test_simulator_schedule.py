"""The simulated schedule: fifteen games a date, nobody twice a date but in a doubleheader, ids never repeated."""

from collections import Counter
from datetime import date, timedelta

import pytest

from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.schedule import games_on, schedule


def test_fifteen_games_fill_a_date_before_the_next_begins() -> None:
    games = list(schedule(40, date(2024, 7, 12)))
    assert [game.day for game in games] == [
        date(2024, 7, 12) + timedelta(days=n) for n, count in ((0, 15), (1, 15), (2, 10)) for _ in range(count)
    ]
    assert list(schedule(0, date(2024, 7, 12))) == []


def test_clubs_play_once_a_date_except_in_doubleheaders() -> None:
    for n in range(60):
        games = games_on(date(2023, 4, 1) + timedelta(days=n))
        pairs = Counter(frozenset((game.home.id, game.away.id)) for game in games)
        clubs = Counter(club for pair in pairs for club in pair)
        assert set(clubs.values()) == {1}
        for game in games:
            twice = pairs[frozenset((game.home.id, game.away.id))] == 2
            assert (game.doubleheader in "YS") == twice
            assert game.game_number in ((1, 2) if twice else (1,))


def test_both_kinds_of_doubleheader_come_within_four_dates_and_one_within_two() -> None:
    for n in range(20):
        kinds = [{game.doubleheader for game in games_on(date(2025, 5, 1) + timedelta(days=n + d))} for d in range(4)]
        assert {"N", "Y", "S"} == set().union(*kinds)
        assert (kinds[0] | kinds[1]) - {"N"}


@pytest.mark.parametrize("first", [date(1901, 4, 20), date(2008, 3, 30), date(2024, 2, 28), date(2026, 9, 1)])
def test_game_ids_are_unique_stable_and_outside_the_real_range(first: date) -> None:
    games = list(schedule(300, first))
    assert len({game.pk for game in games}) == 300
    assert all(game.pk > 1_000_000 for game in games)
    later = games_on(first + timedelta(days=3))
    assert [game.pk for game in later] == [game.pk for game in games[45:60]]


def test_night_games_end_up_on_the_next_day_in_utc_and_keep_their_official_date() -> None:
    captures = list(simulate_games(15, date(2024, 7, 12), 5))
    times = [capture.payload["gameData"]["datetime"] for capture in captures]
    assert {row["officialDate"] for row in times} == {"2024-07-12"}
    assert {row["dateTime"][:10] for row in times} == {"2024-07-12", "2024-07-13"}
    assert all(capture.official_date == date(2024, 7, 12) for capture in captures)
    assert {row["dayNight"] for row in times} == {"day", "night"}


def test_daylight_time_moves_the_utc_start() -> None:
    summer, winter = games_on(date(2024, 7, 12))[0], games_on(date(2024, 12, 1))[0]
    for game in (summer, winter):
        assert game.start - game.local_start == -timedelta(hours=game.home.offset_on(game.day))
    eastern = next(game.home for game in games_on(date(2024, 7, 12)) if game.home.offset == -5)
    assert (eastern.offset_on(date(2024, 7, 12)), eastern.offset_on(date(2024, 12, 1))) == (-4, -5)
