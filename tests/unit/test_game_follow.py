"""When a game's feed is asked for, and when the game is over: what schedule and feed may tell, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_platform.live.game_follow import GameFollow, Pace, Phase

DAY = date(2024, 7, 1)
MORNING = datetime(2024, 7, 1, 14, tzinfo=UTC)
FIRST_PITCH = datetime(2024, 7, 1, 23, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

Status = dict[str, Any]


def status(abstract: str, coded: str, detailed: str, **more: Any) -> Status:
    return {"abstractGameState": abstract, "codedGameState": coded, "detailedState": detailed, **more}


SCHEDULED = status("Preview", "S", "Scheduled", startTimeTBD=False)
WARMUP = status("Live", "P", "Warmup")
LATE = status("Preview", "P", "Delayed Start: Rain", reason="Rain")
PLAYING = status("Live", "I", "In Progress")
RAIN = status("Live", "I", "Delayed: Rain", reason="Rain")
GAME_OVER = status("Final", "O", "Game Over")
FINAL = status("Final", "F", "Final")
CALLED = status("Final", "F", "Completed Early: Rain", reason="Rain")
POSTPONED = status("Final", "D", "Postponed", reason="Rain")
CANCELLED = status("Final", "C", "Cancelled")
SUSPENDED = status("Live", "U", "Suspended: Rain", reason="Rain")


def listing(said: Status = SCHEDULED, start: datetime | None = FIRST_PITCH, number: int = 1, **more: Any) -> Status:
    begins = {} if start is None else {"gameDate": f"{start:%Y-%m-%dT%H:%M:%SZ}"}
    return {"gamePk": 1, "status": said, "gameNumber": number, "doubleHeader": "N", **begins, **more}


def feed(said: Status, at: datetime = FIRST_PITCH, wait: Any = 10, **dates: str) -> Status:
    return {
        "metaData": {"wait": wait, "timeStamp": f"{at:%Y%m%d_%H%M%S}"},
        "gameData": {"status": said, "datetime": {"officialDate": DAY.isoformat(), **dates}},
    }


def followed(pace: Pace | None = None) -> GameFollow:
    """Return a game in progress that has been asked for at its first pitch."""
    game = GameFollow("1", DAY, pace or Pace())
    game.listed(listing(PLAYING), FIRST_PITCH)
    game.told(feed(PLAYING), FIRST_PITCH, changed=True)
    assert game.phase is Phase.following
    return game


# --- before the game -----------------------------------------------------------------------------------------------


def test_a_game_is_left_alone_until_half_an_hour_before_its_first_pitch() -> None:
    """A start that moves, earlier or later, moves the first poll with it; one that is near or past means now."""
    game = GameFollow("1", DAY)
    game.listed(listing(), MORNING)
    assert (game.phase, game.next_at) == (Phase.waiting, FIRST_PITCH - timedelta(minutes=30))
    for moved in (timedelta(hours=2), timedelta(hours=-3)):
        game.listed(listing(start=FIRST_PITCH + moved), MORNING)
        assert game.next_at == FIRST_PITCH + moved - timedelta(minutes=30)
    game.listed(listing(), FIRST_PITCH - 29 * MINUTE)
    assert game.next_at == FIRST_PITCH - 29 * MINUTE


@pytest.mark.parametrize(
    "row",
    [
        listing(SCHEDULED | {"startTimeTBD": True}, datetime(2024, 7, 2, 7, 33, tzinfo=UTC)),
        listing(number=2),
        listing(start=None),
        listing(PLAYING),
        listing(WARMUP),
        listing(FINAL),
    ],
    ids=["time to be told", "second of a doubleheader", "no time", "in progress", "warmup", "final"],
)
def test_a_start_that_says_nothing_is_not_waited_for(row: Status) -> None:
    """Where the listed time is none to rely on, or the game has begun, the feed itself is asked."""
    game = GameFollow("1", DAY)
    game.listed(row, MORNING)
    assert game.next_at == MORNING and not game.phase.ended


@pytest.mark.parametrize("said", [SCHEDULED, LATE, RAIN])
def test_what_does_not_go_on_is_asked_for_slower(said: Status) -> None:
    """Before the first pitch, and in a delay, a feed that wants to be asked every 10 s is asked once a minute."""
    game = GameFollow("1", DAY)
    game.listed(listing(), FIRST_PITCH - 30 * MINUTE)
    game.told(feed(said, wait=10), FIRST_PITCH, changed=True)
    assert (game.phase, game.next_at - FIRST_PITCH) == (Phase.following, MINUTE)


# --- during the game -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(10, 10), (12.5, 12.5), (1, 5), (0, 5), (-3, 5), (30, 30), (31, 30), (86_400, 30), (None, 30), ("10", 30),
     (True, 30), ([10], 30)],
)  # fmt: skip
def test_the_wait_of_a_feed_is_followed_within_bounds(wait: Any, seconds: float) -> None:
    """Never under 5 s and at most 30 s apart; a wait that is no number is taken for none."""
    game = followed()
    game.told(feed(PLAYING, wait=wait), FIRST_PITCH, changed=True)
    assert game.next_at - FIRST_PITCH == timedelta(seconds=seconds)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_failures_are_waited_out_and_never_give_a_game_up(fails: list[bool]) -> None:
    """Pauses grow to five minutes at most while polls fail, and are as before after the first that does not."""
    game, now, in_a_row, pause = followed(), FIRST_PITCH, 0, timedelta(0)
    for bad in fails:
        now = game.next_at
        if bad:
            game.failed(now)
            assert game.next_at - now >= max(pause, 5 * SECOND) and game.next_at - now <= 5 * MINUTE
            in_a_row, pause = in_a_row + 1, game.next_at - now
        else:
            game.told(feed(PLAYING), now, changed=True)
            assert game.next_at - now == 10 * SECOND
            in_a_row, pause = 0, timedelta(0)
        assert (game.failures, game.phase) == (in_a_row, Phase.following)


def test_a_feed_that_stands_still_in_progress_is_stale_until_it_moves() -> None:
    """Stale since its last change, after 15 minutes without one; not in a delay, and not after it moved again."""
    game = followed()
    for minutes in range(1, 16):
        game.told(feed(PLAYING), FIRST_PITCH + minutes * MINUTE, changed=False)
        assert game.stale_since is None
    game.told(feed(PLAYING), FIRST_PITCH + 16 * MINUTE, changed=False)
    assert game.stale_since == FIRST_PITCH
    game.told(feed(PLAYING, FIRST_PITCH + 17 * MINUTE), FIRST_PITCH + 17 * MINUTE, changed=True)
    assert game.stale_since is None
    game.listed(listing(RAIN), FIRST_PITCH + 20 * MINUTE)
    game.told(feed(RAIN, FIRST_PITCH + 17 * MINUTE), FIRST_PITCH + 60 * MINUTE, changed=False)
    assert game.stale_since is None


# --- the ends of a game --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", [FINAL, CALLED])
def test_game_over_is_not_the_end_and_final_is_fetched_once_more(final: Status) -> None:
    """Decisions come after Game Over, so that goes on; what Final says is asked for again a minute later."""
    game = followed()
    game.told(feed(GAME_OVER), FIRST_PITCH, changed=True)
    assert (game.phase, game.next_at - FIRST_PITCH) == (Phase.following, 10 * SECOND)
    game.told(feed(final), FIRST_PITCH + MINUTE, changed=True)
    assert (game.phase, game.next_at) == (Phase.ending, FIRST_PITCH + 2 * MINUTE)
    game.told(feed(final), FIRST_PITCH + 2 * MINUTE, changed=False)
    assert game.phase is Phase.over and game.phase.ended


def test_a_game_called_final_by_mistake_goes_on() -> None:
    """It is followed again, and its later end is fetched once more from then on."""
    game = followed()
    game.told(feed(FINAL), FIRST_PITCH, changed=True)
    game.told(feed(PLAYING), FIRST_PITCH + MINUTE, changed=True)
    assert game.phase is Phase.following
    game.told(feed(FINAL), FIRST_PITCH + 9 * MINUTE, changed=True)
    assert (game.phase, game.next_at) == (Phase.ending, FIRST_PITCH + 10 * MINUTE)


@pytest.mark.parametrize("by_schedule", [True, False])
@pytest.mark.parametrize(
    ("said", "note"), [(POSTPONED, "postponed to 2024-08-12"), (CANCELLED, None)], ids=["postponed", "cancelled"]
)
def test_a_game_that_is_off_is_not_followed(said: Status, note: str | None, *, by_schedule: bool) -> None:
    """Whoever tells it first; the date it went to is noted; and it is taken up again when it is on after all."""
    moved = {} if note is None else {"rescheduleGameDate": "2024-08-12"}
    game = GameFollow("1", DAY)
    game.listed(listing(), FIRST_PITCH - 30 * MINUTE)
    if by_schedule:
        game.listed(listing(said, **moved), FIRST_PITCH)
    else:
        game.told(feed(said, **moved), FIRST_PITCH, changed=True)
    assert (game.phase, game.note, game.state) == (Phase.off, note, said["detailedState"]) and game.phase.ended
    game.listed(listing(WARMUP), FIRST_PITCH + MINUTE)
    assert (game.phase, game.next_at) == (Phase.following, FIRST_PITCH + MINUTE)


def test_a_suspended_game_ends_today_and_is_followed_on_the_date_it_goes_on() -> None:
    """On its own date it ends with a note; on the date it is resumed the same answer means that it is waited for."""
    answer = feed(SUSPENDED, resumeDate="2024-07-02")
    today = followed()
    today.told(answer, FIRST_PITCH + MINUTE, changed=True)
    assert (today.phase, today.note) == (Phase.suspended, "suspended until 2024-07-02")
    tomorrow = GameFollow("1", date(2024, 7, 2))
    noon = datetime(2024, 7, 2, 16, tzinfo=UTC)
    tomorrow.listed(listing(SUSPENDED), noon)
    tomorrow.told(answer, noon, changed=True)
    assert (tomorrow.phase, tomorrow.next_at) == (Phase.following, noon + MINUTE)


def test_a_suspended_game_that_is_declared_over_is_fetched_to_its_end() -> None:
    """The schedule says so (Completed Early): its feed is asked for until it says the same."""
    game = followed()
    game.told(feed(SUSPENDED), FIRST_PITCH + MINUTE, changed=True)
    assert game.phase is Phase.suspended
    at = FIRST_PITCH + 30 * MINUTE
    game.listed(listing(CALLED), at)
    assert (game.phase, game.next_at, game.note) == (Phase.following, at, None)
    game.told(feed(SUSPENDED), at, changed=False)  # the feed is behind
    game.listed(listing(CALLED), at + MINUTE)
    for minutes in (1, 3):
        game.told(feed(CALLED), at + minutes * MINUTE, changed=True)
    assert game.phase is Phase.over


# --- whole days ----------------------------------------------------------------------------------------------------


@dataclass
class GameDay:
    """How a game really goes: its states, each until a time; and how long schedule and polls fail to tell."""

    listed_start: datetime
    turns: list[tuple[datetime, Status]]

    def at(self, now: datetime) -> Status:
        return next((said for until, said in self.turns if now < until), FINAL)

    @property
    def end(self) -> datetime:
        return self.turns[-1][0]


@st.composite
def game_days(draw: st.DrawFn) -> GameDay:
    start = MORNING + draw(st.integers(31, 600)) * MINUTE
    turns, at = [(start - 20 * MINUTE, SCHEDULED)], start - 20 * MINUTE
    middle = draw(st.lists(st.sampled_from([LATE, PLAYING, RAIN, PLAYING]), min_size=1, max_size=6))
    for said in [WARMUP, *middle, GAME_OVER]:
        at += draw(st.integers(20, 3_000)) * SECOND
        turns.append((at, said))
    return GameDay(start, turns)


@given(game_days(), st.lists(st.booleans(), max_size=60), st.sampled_from([1, 10, 10, 60]), st.data())
def test_every_day_ends_with_a_final_fetch(day: GameDay, fails: list[bool], wait: int, data: st.DataObject) -> None:
    """However a game goes and whichever polls fail: polled from half an hour before to its end, and once after that.

    Polls are never closer than 5 s nor, but for failures, further apart than a minute.
    """
    game, refresh, now = GameFollow("1", DAY), MORNING, MORNING
    polls: list[tuple[datetime, bool]] = []
    outcomes = iter(fails)
    while not game.phase.ended:
        assert now < day.end + timedelta(hours=2), "it is never over"
        if refresh <= now:
            game.listed(listing(day.at(now), day.listed_start), now)
            refresh = now + 5 * MINUTE
        if game.next_at <= now:
            bad = next(outcomes, False)
            polls.append((now, bad))
            if bad:
                game.failed(now)
            else:
                game.told(feed(day.at(now), now, wait), now, changed=True)
        now = max(now, min(refresh, game.next_at)) if not game.phase.ended else now
    good = [at for at, bad in polls if not bad]
    assert day.listed_start - 30 * MINUTE <= polls[0][0] <= day.listed_start - 30 * MINUTE + SECOND
    assert game.phase is Phase.over
    finals = [at for at in good if at >= day.end]
    assert len(finals) >= 2 and finals[-1] - finals[0] >= MINUTE
    for (one, bad), (two, _) in zip(polls, polls[1:], strict=False):
        assert bad or two - one <= MINUTE
        assert two - one >= 5 * SECOND or two - finals[0] >= MINUTE  # the last fetch comes when it is due


# --- what must not be taken in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "seconds"), [(1e300, 30), (10**400, 30), (-1e300, 5)], ids=["float", "int", "negative"]
)
def test_a_wait_beyond_all_time_is_bounded_too(wait: float, seconds: float) -> None:
    """A number that no duration can be is no error that ends the following."""
    game = followed()
    game.told(feed(PLAYING, wait=wait), FIRST_PITCH, changed=True)
    assert game.next_at - FIRST_PITCH == timedelta(seconds=seconds)


def test_an_answer_that_was_under_way_does_not_bring_a_game_back() -> None:
    """The schedule says that the game is off while its feed is asked for: what the feed says then is older."""
    game = followed()
    game.listed(listing(POSTPONED, rescheduleGameDate="2024-08-12"), FIRST_PITCH + MINUTE)
    game.told(feed(WARMUP), FIRST_PITCH + 2 * MINUTE, changed=True)
    assert (game.phase, game.note) == (Phase.off, "postponed to 2024-08-12")


@pytest.mark.parametrize("said", [SCHEDULED, WARMUP, RAIN], ids=["scheduled", "warmup", "delayed"])
def test_a_feed_left_behind_by_the_schedule_is_stale(said: Status) -> None:
    """It is the schedule that says In Progress; a feed that stands before it, in warmup or in a delay, is stale too."""
    game = GameFollow("1", DAY)
    game.listed(listing(said), FIRST_PITCH)
    for minutes in range(30):
        game.told(feed(said), FIRST_PITCH + minutes * MINUTE, changed=minutes == 0)
    assert game.stale_since is None, "nothing is to be expected yet"
    game.listed(listing(PLAYING), FIRST_PITCH + 30 * MINUTE)
    game.told(feed(said), FIRST_PITCH + 31 * MINUTE, changed=False)
    assert game.stale_since == FIRST_PITCH


def test_a_feed_that_does_not_answer_is_stale_too() -> None:
    """A quarter of an hour of failures is a quarter of an hour without news of the game."""
    game, now = followed(), FIRST_PITCH
    while now <= FIRST_PITCH + 15 * MINUTE:
        assert game.stale_since is None
        now = game.next_at
        game.failed(now)
    assert game.stale_since == FIRST_PITCH
    game.told(feed(PLAYING, now), now, changed=True)
    assert game.stale_since is None


def test_the_time_after_game_over_is_not_stale() -> None:
    """Nothing is to come but the word Final."""
    game = followed()
    game.listed(listing(GAME_OVER), FIRST_PITCH + MINUTE)
    game.told(feed(GAME_OVER), FIRST_PITCH + MINUTE, changed=True)
    game.told(feed(GAME_OVER), FIRST_PITCH + 20 * MINUTE, changed=False)
    assert (game.phase, game.stale_since) == (Phase.following, None)
