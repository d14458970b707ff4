"""Every command on a database in which nothing was merged yet: it says what there is, or what to do first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlb_platform.cli.main import run
from mlb_platform.settings import load_settings
from resources.postgres import Postgres

TABLE = "game.live_game_plays"
DAY = ("--from", "2024-07-01", "--to", "2024-07-01")
COMMANDS = [
    ("status",),
    ("status", *DAY),
    ("sql", "SELECT 1 AS one"),
    ("sql", f"SELECT * FROM {TABLE}"),
    ("sql", f"SELECT * FROM {TABLE}", "--lake"),
    ("materialize", "--dry-run"),
    ("materialize", "--dry-run", *DAY),
    ("materialize", "--dry-run", "--from", "2024-07-01"),
    ("materialize", "--dry-run", "--game-pk", "1909440"),
    ("materialize", "--dry-run", "--mapping", "all", *DAY),
    ("materialize", "--dry-run", "--mapping", "person/person"),
    ("as-of", "1909440", "2024-07-02T00:00:00Z", TABLE),
    ("history", "1909440", TABLE),
    ("corrections",),
    ("corrections", *DAY),
    ("explain", TABLE, "game_pk=1909440", "at_bat_index=0"),
    ("watch", "1909440"),
    ("quality", "profile", TABLE),
    ("quality", "validate", TABLE),
    ("quality", "suggest", TABLE),
    ("quality", "report", TABLE),
    ("quality", "report", TABLE, *DAY),
    ("quality", "reconcile"),
    ("quality", "reconcile", *DAY),
    ("quarantine", "list"),
    ("quarantine", "show", "1"),
    ("quarantine", "release", "1"),
    ("mapping", "coverage"),
    ("mapping", "drift"),
    ("lake", "files"),
    ("lake", "compact"),
    ("db", "status"),
]


@pytest.mark.parametrize("raw", [False, True], ids=["nothing", "raw rows"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_says_what_there_is(
    command: tuple[str, ...], raw: bool, database: Postgres, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As the first command of all, and as the first after games were ingested."""
    (tmp_path / "jars").symlink_to(load_settings().jars)
    monkeypatch.setenv("MLB_HOME", str(tmp_path))
    monkeypatch.setenv("MLB_DATABASE_URL", database.url)
    if raw:
        assert run(["simulate", "--games", "2", "--feeds-only"]) == 0
        with database.transaction() as connection:
            assert connection.execute("SELECT to_regclass('quality.merge_state')").fetchone() == (None,)
    capfd.readouterr()
    code = run(list(command))
    out, err = capfd.readouterr()
    assert code in (0, 1), err
    assert "unexpected" not in err and "Traceback" not in err, err
    assert (out if code == 0 else err).strip()
