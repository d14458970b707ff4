"""Passports of rows of every table: each pointer leads to the raw value, and the raw value is the stored one.

Documents are read from the raw table and pointers followed here, by RFC 6901; values are cast by a reading of the types
that shares no code with the platform.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import fresh_database
from pyspark.sql import SparkSession

from mlb_platform.cli.data import captures, simulate_into
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.lineage.captures import Capture, Captures
from mlb_platform.lineage.columns import ColumnPassport
from mlb_platform.lineage.passport import Passport, gather
from mlb_platform.mapping.loader import mapping_files
from mlb_platform.mapping.resolve import Column, ResolvedTarget
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from mlb_platform.simulator import responses
from resources.postgres import Postgres
from resources.raw_store import InsertOutcome, RawCapture

MAPPINGS = [f"{p.parent.name}/{p.stem}" for p in mapping_files(load_settings().mappings)]
ON_PATH = {"json", "key", "position", "default", "nothing", "misfit"}
"""What can become of a column that is read by path."""


def follow(document: Any, pointer: str) -> Any:
    """Evaluate a JSON pointer (RFC 6901); raise LookupError where it leads to nothing."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def as_stored(raw: Any, kind: str, pattern: str | None) -> Any:
    """What a column of a type has to hold of a JSON value."""
    base, _, arguments = kind.rstrip(")").partition("(")
    if base == "JSONB" and not isinstance(raw, str):
        return raw
    text = {True: "true", False: "false"}[raw] if isinstance(raw, bool) else str(raw)
    if base in ("SMALLINT", "INT", "BIGINT"):
        return int(Decimal(text))
    if base == "NUMERIC":
        return Decimal(text).quantize(Decimal(1).scaleb(-int(arguments.split(",")[1])), ROUND_HALF_UP)
    if base == "TIMESTAMPTZ" and pattern == "yyyyMMdd_HHmmss":
        return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    if base == "TIMESTAMPTZ":
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    plain: dict[str, Any] = {"DOUBLE": float, "DATE": date.fromisoformat, "BOOLEAN": lambda t: t == "true"}
    return plain.get(base, str)(text)


class Bodies:
    """The documents of the raw tables, read past the platform; numbers as floats, and as they are written."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def of(self, capture: Capture) -> tuple[Any, Any]:
        key = (capture.raw_table, capture.raw_id)
        if key not in self.known:
            with self.postgres.connect() as connection:
                query = f"SELECT data::text, content_hash, captured_at FROM {capture.raw_table} WHERE raw_id = %s"
                row = connection.execute(query.encode(), [capture.raw_id]).fetchone()
            assert row is not None and row[1:] == (capture.content_hash, capture.captured_at)
            self.known[key] = (json.loads(row[0]), json.loads(row[0], parse_float=Decimal))
        return self.known[key]


@pytest.fixture(scope="module")
def filled(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All tables of a simulated game, a correction of it and every other response; and of captures, where given."""
    with fresh_database(postgres) as database:
        settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=database.url)
        platform = Platform(settings, spark_factory=lambda: spark)
        simulate_into(platform, 1, date(2024, 7, 1), 3, ["correction"])
        folder = os.environ.get("MLB_CAPTURES")
        if folder:
            ingest_folder(Path(folder), platform.raw, platform.quality, platform.registry.mappings)
        for name in MAPPINGS:
            platform.transformation(name).run()
        yield platform
        platform.postgres.close()


def sampled(platform: Platform, target: ResolvedTarget) -> list[dict[str, Any]]:
    """The first, the middle and the last row of a table by its key, every column. (Simulated ids are greatest.)"""
    with platform.postgres.connect() as connection:
        if connection.execute("SELECT to_regclass(%s)", [target.name]).fetchone() == (None,):
            return []
        query = f"SELECT * FROM {target.name} ORDER BY {', '.join(target.key)}"
        cursor = connection.execute(query.encode())
        names = [c.name for c in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [rows[n] for n in sorted({(len(rows) - 1) * half // 2 for half in range(3)})] if rows else []


def problems_of(passport: Passport, row: dict[str, Any], bodies: Bodies) -> list[str]:
    """Everything in a passport that does not prove itself."""
    found = [f"the row of {passport.capture}: {text}" for text in passport.outdated]
    if [c.name for c in passport.columns] != [c.name for c in passport.target.columns]:
        found.append("not every column is there")
    for c in passport.columns:
        column = passport.target.by_name[c.name]
        stored = json.loads(c.value) if column.type.name == "JSONB" and c.value is not None else c.value
        if stored != row[c.name]:
            found.append(f"{c.name}: {c.value!r} is told, {row[c.name]!r} is stored")
        try:
            found += [f"{c.name} ({c.how}): {text}" for text in column_problems(passport, c, column, stored, bodies)]
        except (LookupError, ValueError, TypeError) as error:
            found.append(f"{c.name} ({c.how}) at {c.pointer}: {error!r}")
    found += [f"rule {r.rule}: {r.verdict}" for r in passport.rules if r.verdict in ("unknown", "broken")]
    delta = passport.delta
    told = {r.rule for r in passport.rules}
    if (
        not told >= {r.label for r in passport.target.rules}
        or not delta.same
        or delta.written not in (1, delta.current)
    ):
        found.append(f"{len(passport.rules)} rules, {delta}")
    return found


def column_problems(p: Passport, c: ColumnPassport, column: Column, stored: Any, bodies: Bodies) -> Iterator[str]:
    """What is wrong with one column of a passport."""
    assert c.capture is not None
    plain, exact = bodies.of(c.capture)
    pattern = column.field.format if column.field else None
    if column.origin == "path" and c.how not in ON_PATH:
        yield "is read by path"
    if c.agrees is False or (c.agrees is None and c.how not in ("run", "request", "told")):
        yield f"worked out anew it differs, {c.why}"
    if c.how in ("json", "told") and follow(plain, str(c.pointer)) != c.raw:
        yield f"{c.pointer} does not give {c.raw!r}"
    written = plain if c.type == "JSONB" else exact
    if c.how in ("json", "told") and as_stored(follow(written, str(c.pointer)), c.type, pattern) != stored:
        yield f"{c.raw!r} is not stored as {stored!r}"
    if c.how in ("key", "position"):
        follow(plain, str(c.pointer))
        if not str(c.raw) == str(stored) == str(c.pointer).rpartition("/")[2]:
            yield f"{stored!r} is not the last of {c.pointer}"
    if c.how == "misfit" and (stored is not None or follow(plain, str(c.pointer)) != c.raw or not c.why):
        yield f"{c.raw!r} at {c.pointer} fits"
    if c.how in ("nothing", "default"):
        if c.pointer is not None and there(plain, c.pointer):
            yield f"there is something at {c.pointer}"
        if not c.why or (stored is not None) != (c.how == "default"):
            yield f"{stored!r} comes from nothing: {c.why}"
    if c.how == "constant" and str(c.raw) != str(stored):
        yield f"{c.raw!r} is not {stored!r}"
    for read in c.reads:
        if read.pointer is not None and read.raw is not None and len(p.captures) == 1:
            told = follow(plain, read.pointer)
            if told != read.raw and str(read.raw) != read.pointer.rpartition("/")[2]:
                yield f"reads {read.raw!r}, but {read.pointer} is {told!r}"
    if c.how == "request" and column.origin == "entity" and str(stored) != c.capture.entity_key:
        yield f"{stored!r} is not {c.capture.entity_key}"


def there(document: Any, pointer: str) -> bool:
    """Whether a pointer leads to something that is not null."""
    try:
        return follow(document, pointer) is not None
    except (LookupError, TypeError, ValueError):
        return False


def explain_all(platform: Platform, name: str) -> tuple[int, list[str]]:
    """Check the sampled rows of all tables of a mapping; return how many there were, and what is wrong."""
    captures, bodies = Captures(platform.raw, platform.registry), Bodies(platform.postgres)
    found, count = [], 0
    for target in platform.registry.get(name).targets:
        for row in sampled(platform, target):
            key = [f"{n}={row[n]}" for n in target.key]
            passport = gather(
                platform.stores, platform.registry, platform.settings.lake, target.name, key, captures=captures
            )
            found += [f"{target.name} {' '.join(key)}: {text}" for text in problems_of(passport, row, bodies)]
            count += 1
    return count, found


@pytest.mark.parametrize("name", MAPPINGS)
def test_every_cell_of_sampled_rows_proves_itself(filled: Platform, name: str) -> None:
    """Of every table: pointers give the raw values, raw values are those stored, and what has no pointer says why."""
    count, found = explain_all(filled, name)
    assert count and not found, "\n".join(found)


def test_a_venue_cites_the_feed_it_was_part_of(filled: Platform) -> None:
    """The pointer into the feed leads to the same object; columns that other captures say cite those."""
    with filled.postgres.connect() as connection:
        query = "SELECT venue_id FROM game.live_game_metadata ORDER BY game_pk DESC LIMIT 1"
        ((venue,),) = connection.execute(query).fetchall()
    passport = gather(filled.stores, filled.registry, filled.settings.lake, "venue.venue", [f"venue_id={venue}"])
    bodies = Bodies(filled.postgres)
    assert len(passport.captures) > 1 and len({c.capture.raw_id for c in passport.columns if c.capture}) > 1
    embedded = [c for c in passport.captures if "embedded_in" in c.params]
    assert embedded and passport.part_of is not None
    outer = follow(bodies.of(passport.part_of.capture)[0], passport.part_of.pointer)
    assert outer == follow(bodies.of(passport.capture)[0], passport.element) and outer["id"] == venue
    newest = [c.last_seen_at or c.captured_at for c in passport.captures]
    assert newest == sorted(newest, reverse=True)


def test_the_date_of_a_box_score_cites_what_told_it(filled: Platform) -> None:
    """The response does not say it: the feed of that game does, and the pointer leads to it."""
    with filled.postgres.connect() as connection:
        ((game,),) = connection.execute("SELECT max(game_pk) FROM game.boxscore_officials").fetchall()
    passport = gather(
        filled.stores, filled.registry, filled.settings.lake, "game.boxscore_officials",
        [f"game_pk={game}", "official_index=0"], column="game_date",
    )  # fmt: skip
    (column,) = passport.columns
    assert column.how == "told" and column.capture is not None and column.capture.raw_table == "game.live_game_v1"
    assert column.pointer == "/gameData/datetime/officialDate"
    assert Bodies(filled.postgres).of(column.capture)[0]["gamePk"] == game


def test_a_date_that_only_a_listing_tells_cites_the_listing(
    database: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    """Also once a poller has seen the same schedule again, of which no row is stored."""
    platform = Platform(Settings(home=tmp_path, database_url=database.url), spark_factory=lambda: spark)
    stored: dict[str, RawCapture] = {}
    for response in responses(captures(1, date(2024, 7, 1), 3, [])):
        if response.name not in ("game/boxscore", "schedule/schedule") or response.name in stored:
            continue
        days = response.payload.get("dates", ())
        for listed in (listed for day in days for listed in day["games"]):
            listed.pop("officialDate")
        spec = gate_specs(platform.registry.mappings)[response.name]
        request = Request(response.name, response.captured_at, response.id, {"id": response.id})
        admitted = admit(orjson.dumps(response.payload), request, spec)
        assert isinstance(admitted, RawCapture)
        assert platform.raw.insert(spec.raw_table, admitted) is InsertOutcome.STORED
        stored[response.name] = admitted
    platform.transformation("game/boxscore").run()
    schedule = stored["schedule/schedule"]
    key = [f"game_pk={stored['game/boxscore'].entity_key}", "official_index=0"]
    for minutes in (0, 5):
        if minutes:
            seen = replace(schedule, captured_at=schedule.captured_at + timedelta(minutes=minutes))
            assert platform.raw.insert("schedule.schedule_raw", seen, poll=True) is InsertOutcome.SEEN
        passport = gather(platform.stores, platform.registry, platform.settings.lake, "game.boxscore_officials", key)
        (column,) = [c for c in passport.columns if c.name == "game_date"]
        assert column.how == "told" and column.capture is not None
        assert (column.capture.raw_table, column.capture.content_hash) == (
            "schedule.schedule_raw",
            schedule.content_hash,
        )
        assert (column.pointer, column.raw, column.agrees) == ("/dates/0/date", "2024-07-01", True)
    platform.postgres.close()
