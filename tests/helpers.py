"""A small mapping with two tables, and a bench on which captures of it are stored, transformed and read back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted, Extractor
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.transformation import BaseTransformation, make_transformation
from mlb_platform.mapping.loader import load_text
from mlb_platform.mapping.resolve import ResolvedMapping, resolve
from resources.delta_sink import DeltaSink
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink
from resources.quality_store import QualityStore
from resources.raw_store import RawCapture, RawStore

START = datetime(2024, 5, 1, 20, tzinfo=UTC)
MAY_1, MAY_2 = date(2024, 5, 1), date(2024, 5, 2)

SMALL = """
version: "1.0"
source:
  endpoint: small
  method: game_v1
  raw_table: small.game_v1
  required: [id]
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
  partition: {name: game_date, type: DATE, json_path: $.date}
  merge_scope: {key: game_pk, snapshot: true}
targets:
  - name: small.games
    description: One row a game.
    primary_key: [game_pk]
    fields:
      - {name: state, type: VARCHAR(10), json_path: $.state, description: State.}
  - name: small.plays
    description: One row a play.
    array_source: $.plays
    primary_key: [game_pk, play]
    fields:
      - {name: play, type: INT, json_path: $.n, description: Number of the play.}
      - {name: runs, type: INT, json_path: $.runs, description: Runs.}
      - {name: note, type: TEXT, json_path: $.note, description: What happened.}
    relationships:
      - {to_table: small.games, from_field: game_pk, to_field: game_pk}
    data_quality:
      - {rule: "runs >= 0", severity: error, name: runs_positive}
      - {rule: "runs <= 4", severity: warn, name: runs_possible}
"""


def mapping_of(text: str) -> ResolvedMapping:
    """Return the resolved mapping of a YAML text; fail with its problems when it has errors."""
    config, problems = load_text(text, "test.yaml")
    errors = [str(p) for p in problems if p.level == "error"]
    assert config is not None and not errors, "\n".join(errors)
    return resolve(config)


def at(minutes: float) -> datetime:
    """Return a time of capture."""
    return START + timedelta(minutes=minutes)


def game(
    pk: int, plays: Sequence[tuple[int, Any, str | None]] = (), day: date = MAY_1, state: str = "Final"
) -> dict[str, Any]:
    """Return a document of the small mapping; a play is (number, runs, note)."""
    return {
        "id": pk,
        "date": day.isoformat(),
        "state": state,
        "plays": [{"n": n, "runs": runs, "note": note} for n, runs, note in plays],
    }


@contextmanager
def fresh_database(server: Postgres) -> Iterator[Postgres]:
    """Give an empty database on a server and drop it at the end; for fixtures that outlive one test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    fresh = Postgres(server.url.rsplit("/", 1)[0] + f"/{name}")
    try:
        yield fresh
    finally:
        fresh.close()
        with server.connect(autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@dataclass
class Bench:
    """A raw store, both sinks and one mapping at a time over one database and lake."""

    postgres: Postgres
    lake: Path
    spark: SparkSession = field(repr=False)
    mapping: ResolvedMapping = field(repr=False)
    stores: Stores = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sinks = [PostgresSink(self.postgres), DeltaSink(str(self.lake), self.postgres)]
        self.stores = Stores(
            self.postgres, RawStore(self.postgres), QualityStore(self.postgres), sinks, lambda: self.spark
        )

    def remap(self, text: str) -> Bench:
        """Return a bench on the same database and lake with another mapping, as a new process would have it."""
        return Bench(self.postgres, self.lake, self.spark, mapping_of(text))

    @property
    def raw_table(self) -> str:
        """The mapping's raw table."""
        return self.mapping.config.source.raw_table

    def put(self, document: dict[str, Any], minute: float = 0) -> int:
        """Store a capture (id and date are the mapping's first paths) and return its raw id, that of a repeat too."""
        body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        day = str(document.get("date"))
        capture = RawCapture(
            entity_key=str(document["id"]),
            endpoint=self.mapping.config.source.endpoint,
            method=self.mapping.config.source.method,
            params={},
            url=None,
            status_code=200,
            captured_at=at(minute),
            partition_date=date.fromisoformat(day) if day[:1].isdigit() else None,
            content_hash=hashlib.sha256(body).hexdigest(),
            data=body,
        )
        self.stores.raw.insert(self.raw_table, capture)
        rows = self.stores.raw.rows(self.raw_table, entity_keys=[capture.entity_key])
        same = (capture.captured_at, capture.content_hash)
        return next(r.raw_id for r in rows if (r.captured_at, r.content_hash) == same)

    def transformation(self, tables: Sequence[str] | None = None) -> BaseTransformation:
        """Return the mapping's transformation."""
        return make_transformation(self.mapping)(self.stores, tables)

    def run(self, **arguments: Any) -> RunReport:
        """Run the mapping's transformation over everything, or what the arguments of `run` name."""
        return self.transformation().run(**arguments)

    def extract(self, documents: Sequence[dict[str, Any]]) -> Extracted:
        """Store documents and extract them in one go, without merging; raw ids are 1, 2, … in a fresh database."""
        ids = {self.put(d): str(d["id"]) for d in documents}
        extractor = Extractor(self.spark, self.postgres, self.mapping, [t.name for t in self.mapping.targets])
        return extractor.extract(ids, lambda raw_id: self.stores.raw.payload(self.raw_table, raw_id))

    def fetch(self, sink: int, table: str, scopes: Sequence[int] | None = None) -> pa.Table:
        """Return the rows of a table in a sink (0 PostgreSQL, 1 Delta)."""
        keys = None if scopes is None else [str(s) for s in scopes]
        return self.stores.sinks[sink].fetch(merge_spec(self.mapping.by_name[table]), keys)

    def mapped(self, table: str, scopes: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
        """Return the mapped columns of a table's rows in order; both sinks must hold the same."""
        names = [c.name for c in self.mapping.by_name[table].columns if not c.technical]
        found = [
            sorted((tuple(r[n] for n in names) for r in self.fetch(sink, table, scopes).to_pylist()), key=repr)
            for sink in (0, 1)
        ]
        assert found[0] == found[1], f"the sinks differ in {table}"
        return found[0]


def rows_of(extracted: Extracted, table: str, raw_id: int | None = None) -> list[dict[str, Any]]:
    """Return the rows extracted for a table (of one capture), without those columns that say where they come from."""
    found = next(t for t in extracted.tables if t.target.name == table)
    hidden = {"_raw_id", "source_captured_at"}
    return [
        {name: value for name, value in row.items() if name not in hidden}
        for row in found.rows.to_pylist()
        if raw_id is None or row["_raw_id"] == raw_id
    ]
