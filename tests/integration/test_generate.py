"""Making feeds in several processes: the same bytes for any number of them, on disk and in the raw store."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path

from mlb_platform.ingestion.gate import gate_specs
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from mlb_platform.simulator import simulate_games, write_captures_folder
from mlb_platform.simulator.generation import generate_into_folder, generate_into_store, scheduled_games
from resources.postgres import Postgres
from resources.raw_store import RawStore

DAY = date(2024, 7, 1)
FEED = "game.live_game_v1"


def files(folder: Path) -> dict[str, str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in found}


def test_any_number_of_processes_writes_what_one_writer_does(tmp_path: Path) -> None:
    games = scheduled_games(20, DAY)
    for workers in (1, 3):
        made = generate_into_folder(games, 5, ["correction"], tmp_path / str(workers), workers=workers)
        assert made.stored + made.left_out == 40 and made.dates == {DAY, date(2024, 7, 2)}
    assert files(tmp_path / "1") == files(tmp_path / "3")
    plain = generate_into_folder(games, 5, [], tmp_path / "plain", workers=2)
    assert write_captures_folder(simulate_games(20, DAY, 5), tmp_path / "one by one") == plain.stored == 20
    assert files(tmp_path / "plain") == files(tmp_path / "one by one")


def test_processes_store_every_game_once_and_what_the_folder_would_hold(database: Postgres) -> None:
    store, games = RawStore(database), scheduled_games(20, DAY)
    specs = gate_specs(MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings)
    seen: list[int] = []
    made = generate_into_store(games, 5, [], store, specs, workers=2, progress=lambda done, _: seen.append(done))
    assert (made.stored, made.repeated, seen[-1]) == (20, 0, 20) and seen == sorted(seen)
    again = generate_into_store(games, 5, [], store, specs, workers=1)
    assert (again.stored, again.repeated) == (0, 20)
    rows = store.rows(FEED)
    assert [row.entity_key for row in rows] == sorted(str(game.pk) for game in games)
    expected = {str(capture.game_pk): capture for capture in simulate_games(20, DAY, 5)}
    assert all(row.captured_at == expected[row.entity_key].captured_at for row in rows)
    assert store.rows("person.person_raw"), "the people in the feeds are kept too"
