"""What `mlb mapping suggest` proposes is used as it is: it loads, its tables fill and hold what the JSON holds."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import Bench, at, fresh_database, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.mapping.loader import load_text
from mlb_platform.mapping.suggest import suggest
from mlb_platform.simulator import responses, simulate_games
from resources.postgres import Postgres
from resources.raw_store import RawCapture

FEED = "game/live_game_v1"
CAPTURED = (
    FEED, "game/boxscore", "game/linescore", "schedule/schedule", "schedule/postseason", "schedule/postseason_series",
    "person/person", "team/team", "team/roster", "venue/venue", "season/seasons",
)  # fmt: skip
SIMULATED = ("game/linescore", "schedule/schedule", "person/person", "team/teams", "team/roster", "venue/venue")
HOSTILE = {
    "id": 9,
    "date": "2024-05-01",
    "plays": [
        {"n": 1, "runs": 0, "tags": ["a", "b"], "grid": [[1, 2], [3]], "odd name": 1},
        {"n": 2, "runs": 1.5, "tags": [], "grid": [], "mixed": "x"},
        {"n": 3, "runs": None, "mixed": {"deep": True}},
    ],
    "players": {"ID1": {"name": "A", "stats": {"2023": {"hr": 1}, "2024": {"hr": 2}}}, "ID2": {"name": "B"}},
    "empty": [],
    "void": {},
    "nothing": None,
    "dotted.name": 1,
    "select": "a word of SQL",
    "numbers": [1, 1, 2],
    "nulls": [None, {"x": 1}, None, {"x": 2}],
}


def elements(value: Any, path: str) -> list[Any]:
    """Return the elements an array_source or object_source has in a document, by reading the path as text."""
    found = [value]
    for step in path.removeprefix("$").replace("[*]", ".[*]").replace("{*}", ".{*}").strip(".").split("."):
        if step == "[*]":
            found = [item for v in found if isinstance(v, list) for item in v]
        elif step == "{*}":
            found = [member for v in found if isinstance(v, dict) for member in v.values()]
        elif step:
            found = [v[step] for v in found if isinstance(v, dict) and step in v]
    rows: list[Any] = []
    for v in found:
        rows += v if isinstance(v, list) else v.values() if isinstance(v, dict) else []
    return [row for row in rows if row is not None]


def at_path(element: Any, path: str) -> Any:
    """Return the value of a plain item path (`$.a.b`) in an element."""
    for step in path.removeprefix("$").strip(".").split("."):
        if step:
            element = element.get(step) if isinstance(element, dict) else None
    return element


def check(bench_of: Any, documents: list[Any], name: str) -> None:
    """Propose a mapping, store the documents, materialize them, and count rows and values another way."""
    endpoint, method = name.split("/")
    text = suggest(documents, endpoint, method)
    config, problems = load_text(text, "proposal.yaml")
    assert config is not None and not problems, "\n".join(map(str, problems))
    bench: Bench = bench_of(mapping_of(text))
    key = config.source.entity_key
    assert key is not None
    for n, document in enumerate(documents):
        body = orjson.dumps(document)
        entity = str(document[str(key.json_path).removeprefix("$.")]) if key.json_path else f"request {n}"
        day = at_path(document, str(config.source.partition.json_path)) if config.source.partition else None
        capture = RawCapture(
            entity, endpoint, method, {}, None, 200, at(n), date.fromisoformat(day) if day else None,
            hashlib.sha256(body).hexdigest(), body,
        )  # fmt: skip
        bench.stores.raw.insert(config.source.raw_table, capture)
    report = bench.run()
    assert report.parsed == len(documents) and report.held == [] and report.cast_failures == 0
    assert sum(t.collapsed for t in report.tables.values()) == 0, "keys are unique"
    for target in bench.mapping.targets:
        source = target.config.row_sources[0].source
        rows = [e for d in documents for e in (elements(d, source) if source else [d])]
        postgres, delta = bench.fetch(0, target.name), bench.fetch(1, target.name)
        assert postgres.num_rows == delta.num_rows == len(rows), target.name
        keys = {tuple(r[k] for k in target.key) for r in postgres.select(list(target.key)).to_pylist()}
        assert len(keys) == len(rows), f"{target.name} has {len(keys)} keys for {len(rows)} rows"
        for f in target.config.fields:
            if isinstance(f.json_path, str) and f.json_path.startswith("$.") and f.name in postgres.column_names:
                there = sum(at_path(row, f.json_path) is not None for row in rows)
                stored = postgres.num_rows - postgres.column(f.name).null_count
                assert stored == there, f"{target.name}.{f.name}: {stored} values of {there}"


@pytest.fixture(scope="module")
def bench_of(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Benches for mappings, all on one database: the tables of each are named after its endpoint and method."""
    with fresh_database(postgres) as database:
        yield lambda mapping: Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping)


@pytest.fixture(scope="module")
def simulated() -> dict[str, list[Any]]:
    """Simulated responses by endpoint and method."""
    found: dict[str, list[Any]] = {}
    for response in responses(simulate_games(3, date(2024, 7, 1), seed=4)):
        found.setdefault(f"{response.endpoint}/{response.method}", []).append(response.payload)
    return found


def test_a_hostile_payload_becomes_tables(bench_of: Any) -> None:
    """Empty arrays, mixed types, nested arrays and names that no column can have: nothing stands in the way."""
    check(bench_of, [HOSTILE], "hostile/payload")


@pytest.mark.parametrize("name", SIMULATED)
def test_a_proposal_for_simulated_responses_materializes(
    bench_of: Any, simulated: dict[str, list[Any]], name: str
) -> None:
    """Rows, keys and values are those of the JSON."""
    check(bench_of, simulated[name][:1], f"simulated/{name.split('/')[1]}")


@pytest.mark.parametrize("name", CAPTURED)
def test_a_proposal_for_real_responses_materializes(bench_of: Any, captures: Path, name: str) -> None:
    """The same for the first response of each endpoint in the captures."""
    with (captures / "INDEX.tsv").open(encoding="utf-8") as text:
        rows = [r for r in csv.DictReader(text, delimiter="\t") if f"{r['endpoint']}/{r['method']}" == name]
    if not rows:
        pytest.skip(f"no capture of {name}")
    document = orjson.loads(gzip.decompress((captures / rows[-1]["path"]).read_bytes()))
    check(bench_of, [document], name)
