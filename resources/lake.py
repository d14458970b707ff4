"""Reading the tables of a lake: open one, list its files, query them all by DuckDB."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from resources.errors import PlatformError
from resources.lake_place import is_remote, lake_root, table_uri

if TYPE_CHECKING:
    import pyarrow.dataset as pa_dataset

COMMIT_ID = "userMetadata"
"""Where a commit carries its batch: Spark's name for it, so that its DESCRIBE HISTORY shows ours too."""
_ODD = re.compile(r"[%*?\[]")


class LakeError(PlatformError):
    """A lake, or a table in it, that cannot be read or written; names the path."""


def open_table(lake: str, table: str) -> DeltaTable | None:
    """Open the newest version of a table; None if there is none."""
    uri = table_uri(lake, table)
    if not is_remote(lake) and not (Path(uri) / "_delta_log").is_dir():
        return None
    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise lake_error(uri, error) from error


def sink_id(table: DeltaTable) -> str:
    """Return the name under which merges into this table are noted: a lake deleted and made anew is another one."""
    return f"delta:{table.metadata().id}"


_ANEW = (
    "bring it back from a backup, or move the folder of the table away and run `mlb materialize`: it is written anew"
)


def lake_error(place: str, error: Exception) -> LakeError:
    """Say in one line what went wrong where, and what to do."""
    text = " ".join(str(error).split()).split(" 0: <unknown>")[0] or type(error).__name__  # no stack of the library's
    for sign, advice in (
        ("Permission denied", "is not writable: give this user write permission, or set MLB_LAKE_URL to another place"),
        ("Read-only file system", "is read-only: set MLB_LAKE_URL to a place that can be written"),
        ("No space left on device", "is on a full disk: free some space, then run it again (nothing is half done)"),
        ("Not a directory", "is no folder: a file is in its way; set MLB_LAKE_URL to another place"),
        ("No such file", f"lacks a file ({text[-200:]}): {_ANEW}"),
        ("No files found", f"lacks a file ({text[:200]}): {_ANEW}"),
        ("Kernel error", f"has a log that cannot be read ({text[:200]}): {_ANEW}"),
    ):
        if sign in text:
            return LakeError(f"Delta table {place} {advice}")
    return LakeError(f"Delta table {place}: {text[:300]}")


def dataset(table: DeltaTable) -> pa_dataset.Dataset:
    """Return a table's current files as an Arrow dataset with the table's schema; nothing is read yet.

    File statistics come from the files: those of the log are typed as string views, which Arrow cannot compare.
    """
    from pyarrow.dataset import FileSystemDataset  # imports pandas: a second, where only tables are looked up

    whole = table.to_pyarrow_dataset()
    fragments = [whole.format.make_fragment(part.path, filesystem=whole.filesystem) for part in whole.get_fragments()]
    return FileSystemDataset(fragments, whole.schema, whole.format, whole.filesystem)


def duckdb_source(database: duckdb.DuckDBPyConnection, table: DeltaTable) -> str | None:
    """Return what to write after FROM to read a table's current files; None where there are none.

    Files of a local lake are read by DuckDB itself, others through Arrow; so are those whose names it would take for
    patterns, or that are written as parts of an address (a space as %20).
    """
    files = table.file_uris()
    if not files:
        return None
    odd = any(_ODD.search(file) for file in files)
    if odd or is_remote(table.table_uri) or "deletionVectors" in (table.protocol().reader_features or ()):
        name = f"lake {table.table_uri}".replace('"', '""')
        database.register(name, dataset(table))
        return f'"{name}"'
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{listed}], union_by_name = true)"


def missing_files(table: DeltaTable) -> list[str]:
    """Return which of a local table's current data files are not there; of an object store none are looked for."""
    if is_remote(table.table_uri):
        return []
    paths = [urlsplit(file).path if file.startswith("file://") else file for file in table.file_uris()]
    return [path for path in paths if not Path(path).is_file() and not Path(unquote(path)).is_file()]


def file_list(table: DeltaTable) -> list[str]:
    """Return the addresses of a table's current data files."""
    return table.file_uris()


def find_commit(table: DeltaTable, batch_id: uuid.UUID, after: int) -> dict[str, Any] | None:
    """Return the commit, of a version above `after`, that carries `batch_id`: its version and metrics; None if none."""
    behind = table.version() - after
    if behind <= 0:
        return None
    for commit in table.history(behind):
        if commit.get(COMMIT_ID) == str(batch_id) and int(commit["version"]) > after:
            return commit
    return None


def lake_tables(lake: str) -> Iterator[str]:
    """Yield the names, schema.table, of the tables in a lake, in order."""
    root = lake_root(lake)
    if is_remote(lake):
        store, base = fs.FileSystem.from_uri(root)
        entries = store.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
        paths = [entry.path[len(base) :].strip("/") for entry in entries]
        found = {match[1] for path in paths if (match := re.fullmatch(r"([^/]+/[^/]+)/_delta_log/.+", path))}
    else:
        found = {str(log.parent.relative_to(root)) for log in Path(root).glob("*/*/_delta_log")}
    yield from sorted(name.replace("/", ".") for name in found)


def lake_connection(lake: str, only: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with every table of the lake, or `only` some, as a view `schema.table`.

    Only the Delta logs are read here; a query reads the columns and files it needs, of the version there is now.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in lake_tables(lake) if only is None else only:
        table = open_table(lake, name)
        if table is None:
            continue
        schema, short = (part.replace('"', '""') for part in name.split("."))
        source = f"lake {name}"
        connection.register(source, dataset(table))
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        quoted = source.replace('"', '""')
        connection.execute(f'CREATE VIEW "{schema}"."{short}" AS SELECT * FROM "{quoted}"')
    return connection


def read_table(table: DeltaTable, columns: Sequence[str], where: str | None = None) -> pa.Table:
    """Read columns of the rows that fulfil the SQL condition `where`; files that cannot hold such rows are not read."""
    names = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
    found = pa.RecordBatchReader.from_stream(table.scan(columns=list(columns), predicate=where)).read_all()
    return found.select(list(columns)).cast(pa.schema((name, names[name]) for name in columns))
