"""`mlb sql`: one read-only statement against PostgreSQL or the lake."""

from __future__ import annotations

import csv
import difflib
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import grid, note, say, show_table
from mlb_platform.cli.context import instant, platform, settings, time_travel

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection, Cursor

    from mlb_platform.platform import Platform
    from resources.errors import PlatformError

DEFAULT_LIMIT = 100
Rows = tuple[list[str], Iterator[tuple[Any, ...]]]


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("sql")(sql)


def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement.")],
    lake: Annotated[bool, typer.Option("--lake", help="Ask the Delta tables (DuckDB) instead of PostgreSQL.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
    limit: Annotated[
        int | None, typer.Option(help=f"Rows at most; 0: all.  [default: {DEFAULT_LIMIT} in a table, else all]", min=0)
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            help="Ask the lake what the tables would say by the captures taken until then; UTC where no zone is given.",
            parser=instant,
            metavar="TIME",
        ),
    ] = None,
) -> None:
    """Run one statement that reads: PostgreSQL by default, the Delta lake with --lake.

    In the lake `game_history.live_game_plays` has every version of the rows of `game.live_game_plays`, with valid_from
    and valid_to; likewise for every table.

    Example: mlb sql "SELECT inning, count(*) FROM game.live_game_plays GROUP BY 1 ORDER BY 1"
    Example: mlb sql --lake --format csv "SELECT * FROM game.live_game_metadata"
    Example: mlb sql --as-of 2024-07-13T05:00Z "SELECT home_score, away_score FROM game.live_game_metadata"
    """
    shown = (DEFAULT_LIMIT if form is Format.table else 0) if limit is None else limit
    if as_of is not None:
        _past(query, as_of, form, shown)
        return
    if lake:
        _lake(query, form, shown)
        return
    with platform() as made:
        _postgres(made, query, form, shown)


def _postgres(made: Platform, query: str, form: Format, limit: int) -> None:
    import psycopg

    from resources.postgres import DatabaseError

    try:
        with made.postgres.connect(autocommit=True) as connection:
            connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            connection.execute("SET default_transaction_read_only = on")
            # row by row: what is not shown is not kept in memory
            with connection.cursor() as cursor, closing(_stream(cursor, query)) as rows:
                first = next(rows, None)
                columns = [c.name for c in cursor.description or []]
                if first is None:  # an empty stream does not tell its columns
                    columns = _described(connection, query)
                print_rows(columns, _chain(first, rows), form, limit)
    except DatabaseError as error:
        if isinstance(error.__cause__, psycopg.errors.ReadOnlySqlTransaction):
            raise _failure("`mlb sql` only reads: to change something by hand use `mlb db psql`") from error
        raise
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        known = _postgres_tables(made)
        raise _failure(_unknown_table(str(error.diag.message_primary), known, "PostgreSQL")) from error
    except psycopg.Error as error:
        # what is no statement that gives rows psycopg refuses by itself; two of them are a syntax error of the server
        refused = isinstance(error, psycopg.ProgrammingError | psycopg.InternalError) and error.sqlstate is None
        several = isinstance(error, psycopg.errors.SyntaxError) and "insert multiple commands" in str(error)
        if refused or several:
            raise _failure(_only("PostgreSQL", "SELECT, VALUES, TABLE, SHOW or EXPLAIN")) from error
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise _failure(f"PostgreSQL: {error.diag.message_primary or error}{hint}") from error


def _stream(cursor: Cursor[tuple[Any, ...]], query: str) -> Generator[tuple[Any, ...], None, None]:
    yield from cursor.stream(query.encode())


def _described(connection: Connection, query: str) -> list[str]:
    """Return the names of a statement's columns, which the server tells without running it."""
    connection.pgconn.prepare(b"", query.encode())
    result = connection.pgconn.describe_prepared(b"")
    return [(result.fname(i) or b"").decode() for i in range(result.nfields)]


def _chain(first: tuple[Any, ...] | None, rest: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    if first is not None:
        yield first
        yield from rest


def _postgres_tables(made: Platform) -> list[str]:
    with made.postgres.transaction() as connection:
        found = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return [str(row[0]) for row in found]


def _lake(query: str, form: Format, limit: int) -> None:
    from mlb_platform.history.query import named_tables
    from resources.errors import PlatformError
    from resources.lake import lake_connection, lake_tables

    lake = settings().lake
    known = list(lake_tables(lake))
    bare = _unexplained(query)
    try:
        named = named_tables(bare)
    except PlatformError:
        named = []  # DuckDB says better what is wrong with it
    enough = bool(named) and set(named) <= set(known)
    connection = lake_connection(lake, named if enough else None)
    _check_reads(connection, query, f"the lake {lake}")
    if _has_extras([n for n in named if n not in known]):
        with time_travel() as travel:
            travel.put_extras(connection, bare)
    print_rows(*_rows(connection, query, f"the lake {lake}", known), form, limit)


def _has_extras(names: Sequence[str]) -> bool:
    """Tell whether some of these names, of no table in the lake, are of a history or of a mapping's view."""
    if not names:
        return False
    from mlb_platform.history.query import HISTORY
    from mlb_platform.mapping.loader import MappingRegistry

    views = {v.name for m in MappingRegistry(settings().mappings).mappings.values() for v in m.config.views}
    return any(n in views or n.split(".")[0].endswith(HISTORY) for n in names)


def _past(query: str, at: datetime, form: Format, limit: int) -> None:
    from mlb_platform.history.query import empty_connection

    connection = empty_connection()
    _check_reads(connection, query, "the lake")
    with time_travel() as travel:
        travel.put_as_of(connection, _unexplained(query), at)
    if travel.notes:
        note(f"as of {at:%Y-%m-%d %H:%M:%S}Z: {'; '.join(travel.notes)}")
    known = [table for mapping in travel.registry.mappings.values() for table in mapping.by_name]
    print_rows(*_rows(connection, query, "the lake", known), form, limit)


def _rows(connection: DuckDBPyConnection, query: str, where: str, known: Sequence[str]) -> Rows:
    import duckdb

    try:
        result = connection.execute(query)
        columns = [c[0] for c in result.description or []]
    except duckdb.CatalogException as error:
        raise _failure(_unknown_table(str(error), known, where)) from error
    except duckdb.Error as error:
        raise _failure(_duckdb_says(error)) from error

    def rows() -> Iterator[tuple[Any, ...]]:
        while found := result.fetchmany(1000):
            yield from found

    return columns, rows()


def _duckdb_says(error: Exception) -> str:
    return f"DuckDB: {' '.join(str(error).split())[:400]}"


def _check_reads(connection: DuckDBPyConnection, query: str, where: str) -> None:
    """Raise PlatformError where this is not one statement that reads, before anything is looked up for it."""
    import duckdb

    try:
        reads = _reads(connection, query)
    except duckdb.Error as error:
        raise _failure(_duckdb_says(error)) from error
    if not reads:
        raise _failure(_only(where, "SELECT, DESCRIBE, SUMMARIZE or EXPLAIN"))


def _only(where: str, kinds: str) -> str:
    return f"`mlb sql` runs one statement that reads {where}: {kinds}"


def _reads(connection: DuckDBPyConnection, query: str) -> bool:
    """Tell whether this is one statement that reads, or the EXPLAIN of one; raise duckdb.Error where it is no SQL.

    DuckDB makes several of a PIVOT whose values it has to find.
    """
    from duckdb import StatementType

    text = _unexplained(query)
    kinds = [s.type for s in connection.extract_statements(text)]
    pivots = kinds == [StatementType.MULTI] and _QUERY.match(text) is not None
    return kinds == [StatementType.SELECT] or pivots


def _unexplained(query: str) -> str:
    """Return what an EXPLAIN is about, else the statement itself."""
    return _EXPLAIN.sub("", _COMMENTS.sub("", query), count=1)


_COMMENTS = re.compile(r"\A(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_QUERY = re.compile(r"[\s(]*(PIVOT|SELECT|WITH|FROM)\b", re.IGNORECASE)
_EXPLAIN = re.compile(r"\AEXPLAIN(?:\s+ANALYZE\b|\s*\([^)]*\)|\b)", re.IGNORECASE)


def _failure(message: str) -> PlatformError:
    from resources.errors import PlatformError

    return PlatformError(message)


def _unknown_table(message: str, known: Sequence[str], where: str) -> str:
    """Return one line about a name that is not there, with the names that come close."""
    match = re.search(r'relation "([^"]+)"|schema "([^"]+)"|Table with name (\S+)', message)
    name = next((g for g in match.groups() if g), "") if match else ""
    if not name:
        return " ".join(message.split())[:400]
    if not known:
        return f"no table {name} in {where}: it has no tables yet; start with `mlb run`"
    short = {t.split(".")[-1]: t for t in known}
    close = difflib.get_close_matches(name, known, 4, 0.5)
    close += [short[s] for s in difflib.get_close_matches(name.split(".")[-1], list(short), 4, 0.6)]
    names = list(dict.fromkeys(close)) or list(known)[:8]
    return f"no table {name} in {where}; {'close to it' if close else 'there are'}: {', '.join(names)}"


def print_rows(columns: list[str], rows: Iterator[tuple[Any, ...]], form: Format, limit: int) -> None:
    """Print rows in a format, at most `limit` of them (0: all)."""
    if not columns:
        say("done: the statement returns no rows")
        return
    wanted = list(islice(rows, limit + 1)) if limit else list(rows) if form is Format.table else rows
    shown = wanted[:limit] if limit and isinstance(wanted, list) else wanted
    if form is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(v, "") for v in row] for row in shown)
    elif form is Format.json:
        if twice := sorted(name for name, n in Counter(columns).items() if n > 1):
            raise _failure(f"JSON has a name once: give the columns {', '.join(twice)} names of their own with AS")
        sys.stdout.write("[")
        for n, row in enumerate(shown):
            sys.stdout.write(",\n " if n else "\n ")
            sys.stdout.write(_json_text(dict(zip(columns, row, strict=True))))
        sys.stdout.write("\n]\n")
    else:
        _table(columns, list(shown))
    if limit and isinstance(wanted, list) and len(wanted) > limit:
        note(f"only the first {limit} rows are shown: --limit 0 gives all, --format csv or json prints them for a file")


def _table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.markup import escape

    numeric = [c for i, c in enumerate(columns) if _numeric([r[i] for r in rows])]
    table = grid(*[escape(c) for c in columns], right=[escape(c) for c in numeric])
    for row in rows:
        table.add_row(*["[dim]NULL[/dim]" if v is None else escape(_text(v, "")) for v in row])
    show_table(table)
    say(f"{len(rows)} row{'' if len(rows) == 1 else 's'}", "dim")


def _numeric(values: Sequence[Any]) -> bool:
    found = [v for v in values if v is not None]
    return bool(found) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in found)


def _text(value: Any, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, dict | list | tuple):
        return _json_text(value)
    return str(value)


def _json_text(value: Any) -> str:
    try:
        return json.dumps(value, default=_json, ensure_ascii=False, allow_nan=False)
    except ValueError:  # JSON has no NaN and no infinity
        return json.dumps(_finite(value), default=_json, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        whole = value == value.to_integral_value()
        # one with more digits than readers of JSON keep is given as text
        return int(value) if whole else float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    return _text(value, "")
