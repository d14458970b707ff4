"""Games a second of `mlb simulate`, and the CPU seconds a game takes in our processes and in PostgreSQL's.

    .venv/bin/python -m benchmarks.generate --games 600

The machine may be busy with other things: CPU seconds tell what two quiet cores would do.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

from mlb_platform.ingestion.gate import gate_specs
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from mlb_platform.simulator.generation import generate_into_folder, generate_into_store, scheduled_games
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Postgres
from resources.raw_store import RawStore


def _ours() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _servers(pid: int) -> float:
    """CPU seconds of a server: its own, its living sessions', and those of the ones that ended."""
    postmaster = psutil.Process(pid)
    times = [postmaster.cpu_times(), *(child.cpu_times() for child in postmaster.children())]
    return sum(t.user + t.system for t in times) + times[0].children_user + times[0].children_system


def main() -> int:
    """Measure both ways and write a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    games = scheduled_games(options.games, date(2024, 7, 1))
    with tempfile.TemporaryDirectory() as scratch:
        begun, cpu = time.perf_counter(), _ours()
        generate_into_folder(games, 1, [], Path(scratch) / "captures", workers=options.workers, level=1)
        _tell("folder", options.games, time.perf_counter() - begun, _ours() - cpu, 0.0)
        server = EmbeddedPostgres(Path(scratch) / "postgres", Path(scratch) / "logs")
        url = server.ensure_running()
        pid = server.status().pid
        try:
            specs = gate_specs(MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings)
            with Postgres(url) as postgres:
                assert pid is not None
                begun, cpu, theirs = time.perf_counter(), _ours(), _servers(pid)
                generate_into_store(games, 1, [], RawStore(postgres), specs, workers=options.workers)
                seconds = time.perf_counter() - begun
                _tell("raw store", options.games, seconds, _ours() - cpu, _servers(pid) - theirs)
        finally:
            server.stop()
    return 0


def _tell(what: str, games: int, seconds: float, ours: float, servers: float) -> None:
    a_game = (ours + servers) / games
    sys.stdout.write(
        f"{what}: {games} games in {seconds:.1f} s, {games / seconds:.0f} games/s; CPU a game {a_game * 1000:.1f} ms "
        f"(ours {ours / games * 1000:.1f}, PostgreSQL {servers / games * 1000:.1f}): "
        f"two quiet cores {2 / a_game:.0f} games/s\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
