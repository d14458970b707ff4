"""Databases as people name them: URLs with options and odd passwords, `name=value` pairs, sockets, many open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import make_url

from mlb_platform.dagster_home import SCHEMA, storage_url
from mlb_platform.live.same_tables import drop_database, scratch_database
from resources.postgres import Postgres
from resources.raw_frames import jdbc_options

PASSWORD = "p@ss/w:o rd'"


@pytest.fixture
def owner(database: Postgres) -> Iterator[dict[str, str]]:
    """A user with a password that has to be quoted, and where its database is."""
    place = psycopg.conninfo.conninfo_to_dict(database.url)
    role = sql.Identifier(f"owner_{os.getpid()}")
    with database.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(role, PASSWORD))
        yield {**{k: str(place[k]) for k in ("host", "port", "dbname")}, "user": role.as_string().strip('"')}
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize("form", ["url", "pairs"])
def test_options_and_passwords_are_kept_for_us_and_for_dagster(owner: dict[str, str], form: str) -> None:
    """A session of ours is in UTC, one of Dagster's in its schema; what the user set holds in both."""
    options = "-c statement_timeout=54321"
    at = f"{owner['host']}:{owner['port']}/{owner['dbname']}"
    url = f"postgresql://{owner['user']}:{quote(PASSWORD, safe='')}@{at}?options={quote(options)}"
    url += "&connect_timeout=3&application_name=mine"  # ours hold
    if form == "pairs":
        url = psycopg.conninfo.make_conninfo(password=PASSWORD, options=options, connect_timeout=3, **owner)
    asked = "SELECT current_setting('statement_timeout'), current_setting('TimeZone'), current_setting('search_path')"
    with Postgres(url).connect() as connection:
        assert connection.execute(asked.encode()).fetchone() == ("54321ms", "UTC", '"$user", public')
    engine = create_engine(storage_url(url))
    with engine.connect() as dagsters:
        found = dagsters.execute(text(asked)).one()
        assert (found[0], found[2]) == ("54321ms", SCHEMA)
    engine.dispose()
    name = f"scratch_{os.getpid()}"
    with Postgres(scratch_database(Postgres(url), name)).connect() as connection:
        assert connection.info.dbname == name
    with Postgres(url).connect(autocommit=True) as connection:
        drop_database(connection, name)


def test_a_socket_is_dagsters_too() -> None:
    """Its folder stands where a host would."""
    for url in ("postgresql:///mlb?host=/var/run/postgresql", "host=/var/run/postgresql dbname=mlb"):
        _, given = PGDialect_psycopg2().create_connect_args(make_url(storage_url(url)))
        assert (given["host"], given["dbname"]) == ("/var/run/postgresql", "mlb")


def test_spark_is_told_how_safe_a_connection_is_to_be() -> None:
    """What libpq and JDBC both know by the same name."""
    given = jdbc_options("postgresql://me@db.example/?sslmode=verify-full&sslrootcert=/ca.pem")
    assert given["url"] == "jdbc:postgresql://db.example:5432/me"
    assert (given["sslmode"], given["sslrootcert"]) == ("verify-full", "/ca.pem")


def test_a_process_with_many_open_files_uses_its_connections_again(database: Postgres) -> None:
    """Beyond 1,024, which is all that select() takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    own = Postgres(database.url)
    try:
        with ExitStack() as files:
            for _ in range(1100):
                files.callback(os.close, os.open("/dev/null", os.O_RDONLY))
            for _ in range(2):
                with own.transaction() as connection:
                    assert connection.fileno() > 1024
    finally:
        own.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
