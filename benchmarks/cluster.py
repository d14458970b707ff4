"""`python -m benchmarks.cluster`: who merges, and where: one process beside a cluster of two workers on this machine.

Every contender is a process of its own with a database and a lake of its own, all from the same raw rows: the
driver's engine and that of the executors, each on `local[2]` and on a local cluster; and, where it is asked for by
`--only`, frames: the rows of a run never are on the driver, and are not judged; it is slow. At the end all tables are
compared by content; a difference is shown and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import raw
from benchmarks.cluster_frames import run_frames
from benchmarks.compare import compare
from benchmarks.cpu import CpuClock
from benchmarks.ours import Ours
from benchmarks.report import RESULTS, machine, told
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.settings import load_settings
from resources.delta_sink import DeltaSink
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

CLUSTER = "local-cluster[2,1,1024]"
CONTENDERS = {
    "driver, one process": ("local[2]", "driver"),
    "executors, one process": ("local[2]", "executors"),
    "driver, cluster": (CLUSTER, "driver"),
    "executors, cluster": (CLUSTER, "executors"),
    "frames, cluster": (CLUSTER, "frames"),
}
FRAMES = "frames"


def contend(master: str, engine: str, home: Path, games: list[int]) -> dict[str, Any]:
    """Run one contender in this process: the smallest workload cold, then each on fresh tables; return its figures."""
    chosen = "executors" if engine == FRAMES else engine
    database = (home / "url").read_text()
    ours = Ours(home, load_settings().jars, database_url=database, spark_master=master, merge_engine=chosen)
    clock, figures = CpuClock(home.parent / "postgres"), {}
    for kind, size in [("first", games[0]), *(("warm", size) for size in games)]:
        if figures:
            ours.reset()
        ours.prepare()
        dates = raw.dates_of(size)
        if engine == FRAMES:
            seconds, spent = clock.spent(lambda dates=dates: run_frames(ours, *dates))  # type: ignore[misc]
        else:
            done, spent = clock.spent(lambda dates=dates: ours.run(*dates))  # type: ignore[misc]
            seconds = done.seconds
        phases = {name: seconds[name] for name in ("compute", "postgres", "delta", "merge") if name in seconds}
        figures[f"{size} games, {kind}"] = {
            name: round(value, 2) for name, value in {**phases, "wall": spent.wall, "cpu": spent.cpu}.items()
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ours.close()
    return {"master": master, "engine": engine, "driver_peak_mib": round(peak), "workloads": figures}


def bench(games: list[int], out: Path, wanted: list[str]) -> int:
    """Run every contender, compare what they made, show and save the figures; return the exit code."""
    home = Path(tempfile.mkdtemp(prefix="mlb-cluster-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        stack.callback(server.stop)
        postgres = Postgres(server.ensure_running())
        base = Ours(home, load_settings().jars)
        told(f"simulating and ingesting {games[-1]} games")
        size = raw.ingest(games[-1], base.platform.raw, base.mapping)
        base.platform.postgres.close()
        found: dict[str, Any] = {}
        for number, name in enumerate(wanted):
            told(f"{name}, load {os.getloadavg()[0]:.1f}")
            found[name] = _in_a_process(postgres, home / f"contender{number}", name, games)
            told(json.dumps(found[name]))
        homes = {name: home / f"contender{number}" for number, name in enumerate(wanted)}
        different = list(_differences(base, homes))
        result = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "games": games,
            "json_bytes": size, "stored": _stored(base, homes[wanted[0]]), "contenders": found,
            "same_content": not different,
        }  # fmt: skip
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n")
        told(f"figures are in {out}")
        for line in different:
            told(line, style="red")
    return 1 if different else 0


def _in_a_process(postgres: Postgres, home: Path, name: str, games: list[int]) -> dict[str, Any]:
    """Give a contender a copy of the database and wait for its figures."""
    home.mkdir()
    base, copied = postgres.url.rsplit("/", 1)
    postgres.close()
    with Postgres(f"{base}/template1").connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {home.name} TEMPLATE {copied}".encode())
    (home / "url").write_text(f"{base}/{home.name}")
    sizes = [word for size in games for word in ("--games", str(size))]
    command = [sys.executable, "-m", "benchmarks.cluster", "--contender", name, "--home", str(home), *sizes]
    with (home / "log").open("w") as log:
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
            raise SystemExit(f"{name} failed:\n{(home / 'log').read_text()[-5000:]}")
    figures: dict[str, Any] = json.loads((home / "figures.json").read_text())
    return figures


def _differences(base: Ours, homes: dict[str, Path]) -> Iterator[str]:
    """Yield a line for every difference between contenders, or between PostgreSQL and Delta of one."""
    for table in base.tables:
        spec = merge_spec(base.mapping.by_name[table])
        columns = [c.name for c in spec.columns if not c.technical]
        contents: dict[str, pa.Table] = {}
        for name, home in homes.items():
            database = Postgres((home / "url").read_text())
            for place, sink in (("PostgreSQL", PostgresSink(database)), ("Delta", DeltaSink(_lake(home), database))):
                contents[f"{name}, {place}"] = sink.fetch(spec).select(columns)
            database.close()
        yield from compare(spec, contents)


def _lake(home: Path) -> str:
    return str(home / "lake")


def _stored(base: Ours, home: Path) -> dict[str, int]:
    """Return bytes on disk: of the raw table, of the tables with their indexes, of the lake, and its files."""
    database = Postgres((home / "url").read_text())
    with database.transaction() as connection:
        size = "SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest(%s::text[]) AS t"
        tables = connection.execute(size, (base.tables,)).fetchone()
        kept = connection.execute(size, ([base.mapping.config.source.raw_table],)).fetchone()
    database.close()
    files = [path for path in Path(_lake(home)).rglob("*.parquet") if "_delta_log" not in path.parts]
    assert tables is not None and kept is not None
    lake = sum(path.stat().st_size for path in files)
    return {"postgres_raw": kept[0], "postgres_tables": tables[0], "lake": lake, "lake_files": len(files)}


def main() -> int:
    """Read the arguments and run; with `--contender`, as one of the processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description="Who merges, and where.")
    parser.add_argument("--games", type=int, action="append", help="games of a workload (repeatable; 15, 150)")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="only this contender (repeatable)")
    parser.add_argument("--json", type=Path, default=RESULTS / "cluster.json", help="file for the figures")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    games = sorted(arguments.games or [15, 150])
    if arguments.contender is None:
        usual = [name for name, (_, engine) in CONTENDERS.items() if engine != FRAMES]
        return bench(games, arguments.json, arguments.only or usual)
    figures = contend(*CONTENDERS[arguments.contender], arguments.home, games)
    (arguments.home / "figures.json").write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
