"""Games that are over are handed over; what fails is tried again, and the others are not kept waiting."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlb_platform.live.endings import Endings


def end_all(endings: Endings, games: list[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not endings.settled(games):
        assert time.monotonic() < deadline
        endings.look(games)
        time.sleep(0.002)
    endings.close()


def test_one_game_that_fails_does_not_keep_the_others() -> None:
    """The first attempt takes all; after its failure each goes alone; only the one that always fails is given up."""
    calls: list[list[str]] = []

    def end(games: Sequence[str]) -> None:
        calls.append(list(games))
        if "2" in games:
            raise RuntimeError("no room")

    endings = Endings(end, pauses=(0.01, 0.02))
    end_all(endings, ["1", "2", "3"])
    assert calls[0] == ["1", "2", "3"] and sorted(calls[1:]) == [["1"], ["2"], ["2"], ["3"]]
    assert (endings.failed, endings.errors) == ({"2": "no room"}, 3)


def test_a_failure_that_passes_leaves_nothing() -> None:
    """Tried again after a pause, and done once."""
    times: list[float] = []

    def end(games: Sequence[str]) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RuntimeError("the database is starting")

    endings = Endings(end, pauses=(0.05,))
    end_all(endings, ["1"])
    assert len(times) == 2 and times[1] - times[0] >= 0.05 and endings.failed == {}
    endings = Endings(end, pauses=(0.05,))
    end_all(endings, [])
    assert len(times) == 2


def test_while_other_games_go_on_those_that_end_are_taken_together_after_a_rest() -> None:
    """Of three that end one after the other the first goes alone, the others together; with none left at once."""
    calls: list[list[str]] = []
    endings = Endings(lambda games: calls.append(list(games)), rest=0.2)

    def wait_for(games: list[str], number: int, *, others: bool) -> None:
        deadline = time.monotonic() + 60
        while len(calls) < number or endings.settled([]) is False:
            assert time.monotonic() < deadline
            endings.look(games, others=others)
            time.sleep(0.002)

    wait_for(["1"], 1, others=True)
    begun = time.monotonic()
    endings.look(["1", "2"], others=True)
    wait_for(["1", "2", "3"], 2, others=True)
    assert time.monotonic() - begun >= 0.15
    wait_for(["1", "2", "3", "4"], 3, others=False)
    assert time.monotonic() - begun < 30
    endings.close()
    assert calls == [["1"], ["2", "3"], ["4"]]
