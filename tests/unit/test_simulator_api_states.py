"""The simulated API's games in time: every state a feed shows is one that a real game could show, and all agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any

import orjson
import pytest
from feed_identities import all_differences

from mlb_platform.ingestion.gate import Rejection, Request, admit, gate_specs
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.api.answers import Answers, NotAnswered
from mlb_platform.simulator.api.options import NO_EVENTS, Odd, ServeOptions
from mlb_platform.simulator.api.timeline import Timeline
from mlb_platform.simulator.api.world import World
from mlb_platform.simulator.events import EventRates

Json = dict[str, Any]
DAY = date(2024, 7, 1)
DELAYED, SUSPENDED, POSTPONED = EventRates(1, 0, 0, 0, 1), EventRates(0, 1, 0, 0, 1), EventRates(0, 0, 1, 0, 1)
LONG_AFTER = datetime(2024, 7, 20, tzinfo=UTC)
PLAIN = World(ServeOptions())
PKS = [capture.game_pk for capture in simulate_games(15, DAY, 1)]


def line_of(pk: int, **options: Any) -> Timeline:
    line = World(ServeOptions(**options)).timeline(pk)
    assert line is not None
    return line


@dataclass
class Walk:
    """What was seen at all moments of a game."""

    states: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    called: list[Json] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    told: Json = field(default_factory=dict)
    last: Json = field(default_factory=dict)


@lru_cache
def walk(pk: int, rates: EventRates) -> Walk:
    """Go through a game that is corrected at its end; every twelfth state and each change of state is counted again."""
    seen = Walk()
    for n, moment in enumerate(line_of(pk, events=rates, corrections=1.0).moments):
        feed = seen.last = moment.make(moment.at).payload
        changed = not seen.states or seen.states[-1] != state(feed)
        if changed:
            seen.states.append(state(feed))
            seen.told = feed if state(feed) == "Postponed" else seen.told
        seen.dates.append(feed["gameData"]["datetime"]["officialDate"])
        plays = feed["liveData"]["plays"]["allPlays"]
        seen.called += [play for play in plays if play.get("reviewDetails", {}).get("inProgress")]
        if plays and (changed or n % 12 == 0 or seen.called and seen.called[-1] is plays[-1]):
            seen.wrong += [f"{moment.at}: {what}" for what in all_differences(feed)]
    return seen


def state(feed: Json) -> str:
    return feed["gameData"]["status"]["detailedState"]


def size(feed: Json) -> tuple[int, int]:
    """How much has been played: plays that are complete, and play events in all."""
    plays = feed["liveData"]["plays"]["allPlays"]
    return sum(p["about"]["isComplete"] for p in plays), sum(len(p["playEvents"]) for p in plays)


def test_at_its_end_every_game_is_what_batch_generation_gives() -> None:
    """Twenty games, makeups and resumed ones among them: byte for byte the final captures of the same seed."""
    for capture in simulate_games(20, DAY, 1):
        line = PLAIN.timeline(capture.game_pk)
        assert line is not None
        last = line.capture(LONG_AFTER)
        assert orjson.dumps(last.payload, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
            capture.payload, option=orjson.OPT_SORT_KEYS
        )
        assert last.captured_at == capture.captured_at


def test_a_game_grows_pitch_by_pitch_and_never_shows_what_is_still_to_come() -> None:
    line = line_of(PKS[5])
    feeds = [moment.make(moment.at).payload for moment in line.moments]
    assert [name for name, _ in groupby(feeds, key=state)] == [
        "Scheduled",
        "Pre-Game",
        "Warmup",
        "In Progress",
        "Game Over",
        "Final",
    ]
    sizes = [size(feed) for feed in feeds]
    assert sizes == sorted(sizes)
    final = feeds[-1]["liveData"]["plays"]["allPlays"]
    pitches = sum(len(play["pitchIndex"]) for play in final)
    assert len({s for s in sizes if s != (0, 0)}) > pitches * 0.9  # one state a pitch, but for the first batter's
    for moment, feed in zip(line.moments, feeds, strict=True):
        ends = [e["endTime"] for p in feed["liveData"]["plays"]["allPlays"] for e in p["playEvents"]]
        assert all(end <= f"{moment.at.isoformat(timespec='milliseconds')}Z" for end in ends), moment.at
        assert feed["metaData"]["timeStamp"] == f"{moment.at:%Y%m%d_%H%M%S}"


@pytest.mark.parametrize("rates", [DELAYED, SUSPENDED, POSTPONED], ids=["delayed", "suspended", "postponed"])
def test_every_state_holds_the_identities_of_reconciliation(rates: EventRates) -> None:
    """Counted again from the JSON alone: in the middle of a play, a delay, a review, after the correction."""
    assert walk(PKS[3], rates).wrong == []


def test_the_gate_takes_every_state() -> None:
    spec = gate_specs(MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings)["game/live_game_v1"]
    moments = line_of(PKS[3], events=SUSPENDED).moments
    for moment in (*moments[:5], *moments[5::40], moments[-1]):
        feed = moment.make(moment.at).payload
        request = Request("test", LONG_AFTER, str(PKS[3]), {"id": str(PKS[3])}, "simulated:feed")
        assert not isinstance(admit(orjson.dumps(feed), request, spec), Rejection)


def test_rain_delays_stop_a_game_in_the_middle_and_it_goes_on() -> None:
    found = walk(PKS[3], DELAYED).states
    assert "Delayed: Rain" in found or "Delayed Start: Rain" in found
    assert found[-3:] == ["In Progress", "Game Over", "Final"]


def test_a_suspended_game_is_listed_under_both_dates_and_ends_on_the_second() -> None:
    world, pk = World(ServeOptions(events=SUSPENDED, corrections=1.0, games=4)), PKS[3]
    seen = walk(pk, SUSPENDED)
    assert seen.states[-5:] == ["In Progress", "Suspended: Rain", "In Progress", "Game Over", "Final"]
    assert set(seen.dates) == {"2024-07-01"}
    for day in (DAY, DAY + timedelta(days=1)):
        listed = [row for row in world.listed(day, LONG_AFTER) if row["gamePk"] == pk]
        assert [row["status"]["detailedState"] for row in listed] == ["Final"]


def test_a_postponed_game_moves_to_another_date() -> None:
    world, pk = World(ServeOptions(events=POSTPONED, corrections=1.0, games=4)), PKS[3]
    line, seen = world.timeline(pk), walk(pk, POSTPONED)
    assert line is not None and line.events.postponed_to is not None
    told = seen.told
    assert told["gameData"]["status"]["codedGameState"] == "D"
    assert told["gameData"]["datetime"]["officialDate"] == "2024-07-01"
    assert told["gameData"]["datetime"]["rescheduleGameDate"] == line.events.postponed_to.isoformat()
    assert seen.dates[-1] == line.events.postponed_to.isoformat()
    old = [row for row in world.listed(DAY, LONG_AFTER) if row["gamePk"] == pk]
    new = [row for row in world.listed(line.events.postponed_to, LONG_AFTER) if row["gamePk"] == pk]
    assert [row["status"]["detailedState"] for row in (*old, *new)] == ["Postponed", "Final"]


def test_an_overturned_call_shows_a_runner_that_is_gone_later() -> None:
    seen = walk(PKS[3], DELAYED)
    called = seen.called
    assert called and {play["result"]["eventType"] for play in called} == {"single"}
    at = called[0]["about"]["atBatIndex"]
    stands = seen.last["liveData"]["plays"]["allPlays"][at]
    assert stands["result"]["eventType"] == "field_out" and stands["reviewDetails"]["isOverturned"]


def test_corrections_come_after_final_and_only_where_asked_for() -> None:
    plain, corrected = line_of(PKS[3]), line_of(PKS[3], corrections=1.0, correction_minutes=45)
    assert len(corrected.moments) == len(plain.moments) + 1
    assert corrected.moments[-1].at - plain.moments[-1].at == timedelta(minutes=45)
    assert corrected.capture(LONG_AFTER).payload["liveData"] != plain.capture(LONG_AFTER).payload["liveData"]


def test_odd_feeds_have_new_renamed_and_retyped_fields() -> None:
    odd = line_of(PKS[3]).capture(LONG_AFTER).payload
    changed = line_of(PKS[3], odd=Odd(1.0, 1.0, 1.0)).capture(LONG_AFTER).payload
    assert "simulatedExtra" in changed["gameData"]["game"]
    assert "isActive" in changed["gameData"]["venue"] and "active" not in changed["gameData"]["venue"]
    assert (odd["gameData"]["game"]["gameNumber"], changed["gameData"]["game"]["gameNumber"]) == (1, "1")


def test_all_answers_of_one_time_agree() -> None:
    answers = Answers(PLAIN)
    for hour in range(17, 30, 4):
        now = datetime(2024, 7, 1, tzinfo=UTC) + timedelta(hours=hour)
        rows = {g["gamePk"]: g for d in answers.schedule({"date": "2024-07-01"}, now)["dates"] for g in d["games"]}
        for pk in PKS:
            feed = answers.feed(pk, {}, now)
            assert rows[pk]["status"]["detailedState"] in (state(feed), "Postponed")
            teams = feed["liveData"]["linescore"]["teams"]
            score = {side: rows[pk]["teams"][side].get("score") for side in ("away", "home")}
            assert score == {side: teams[side].get("runs") for side in ("away", "home")}
            assert answers.plays(pk, {}, now)["allPlays"] == feed["liveData"]["plays"]["allPlays"]
            assert answers.linescore(pk, {}, now).get("currentInning") == feed["liveData"]["linescore"].get(
                "currentInning"
            )


def test_changes_names_exactly_the_games_whose_feed_changed() -> None:
    answers = Answers(PLAIN)
    since, now = datetime(2024, 7, 1, 23, tzinfo=UTC), datetime(2024, 7, 1, 23, 10, tzinfo=UTC)
    listed = answers.changes({"updatedSince": "2024-07-01T23:00:00Z"}, now)
    named = {g["gamePk"] for d in listed["dates"] for g in d["games"]}
    days = [DAY + timedelta(days=n) for n in range(-2, 3)]
    pks = {row["gamePk"] for day in days for row in PLAIN.listed(day, LONG_AFTER)}
    assert named == {pk for pk in pks if answers.feed(pk, {}, since) != answers.feed(pk, {}, now)}
    assert len(named) > 3
    pages = [answers.changes({"updatedSince": "2024-07-01T23:00:00Z", "limit": "2", "offset": str(n)}, now)
             for n in range(0, len(named) + 2, 2)]  # fmt: skip
    assert sorted(g["gamePk"] for p in pages for d in p["dates"] for g in d["games"]) == sorted(named)


def test_what_does_not_exist_is_refused() -> None:
    answers, now = Answers(PLAIN), datetime(2024, 7, 1, 20, tzinfo=UTC)
    for ask in (
        lambda: answers.feed(5, {}, now),
        lambda: answers.feed(PKS[0], {"timecode": "yesterday"}, now),
        lambda: answers.team(1, {}, now),
        lambda: answers.changes({}, now),
        lambda: answers.schedule({"date": "soon"}, now),
    ):
        with pytest.raises(NotAnswered):
            ask()


def test_the_same_options_give_the_same_day_and_another_seed_another() -> None:
    events = EventRates(0.2, 0.1, 0.2, 0.05, 0.5)

    def day(seed: int) -> bytes:
        world = World(ServeOptions(seed=seed, events=events, games=8))
        now = datetime(2024, 7, 2, 1, tzinfo=UTC)
        return orjson.dumps(world.listed(DAY, now))

    assert day(1) == day(1) != day(2)
    assert EventRates(0, 0, 0, 0, 0) == NO_EVENTS


@pytest.mark.parametrize(("share", "dates"), [(0.0, 0), (1.0, 6), (None, 3)])
def test_as_many_dates_as_asked_have_a_doubleheader(share: float | None, dates: int) -> None:
    world, now, doubled = World(ServeOptions(doubleheaders=share)), datetime(2024, 7, 1, 1, tzinfo=UTC), 0
    for n in range(6):
        rows = world.listed(DAY + timedelta(days=n), now)
        second = [r for r in rows if r["gameNumber"] == 2 and r["officialDate"] == str(DAY + timedelta(days=n))]
        doubled += len(second)
        assert all(r["doubleHeader"] in "SY" and r["seriesGameNumber"] <= r["gamesInSeries"] for r in second)
    assert doubled == dates
