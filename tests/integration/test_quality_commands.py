"""`mlb quality` on a real lake and database, and the reports that runs leave: what they say, and what they return."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import yaml
from dagster import DagsterInstance

from mlb_platform.assets import judging, reports
from mlb_platform.assets.command import materialize_dates
from mlb_platform.assets.specs import table_key
from mlb_platform.cli.main import run
from mlb_platform.extraction import work
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from resources.errors import PlatformError
from resources.postgres import Postgres
from tests.helpers import MAY_1, MAY_2, SMALL, Bench, game, mapping_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAPPING = (
    SMALL
    + """
      - {rule: "runs < 4", severity: warn, name: runs_few}
    indexes: []
views:
  - {name: small.games_now, table: small.games, key: [game_pk], order_by: [-game_date]}
"""
)
RUNS = [0, 1, 2, 4, 0, None]
"""Of the plays of both games of May 1; one run is missing, one play breaks `runs_few`."""


class Page(HTMLParser):
    """A page taken apart: its text by section, and its SVG plots, which must be well-formed XML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self._inside: list[str] = ["page"]
        self.feed(text)
        self.plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
        self.text = text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe"), "a page needs nothing beside it"
        name = dict(attrs).get("id") or dict(attrs).get("data-rule")
        if tag in ("section", "tr", "div", "span"):
            self._inside.append(name or self._inside[-1])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("section", "tr", "div", "span"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            for name in {*self._inside}:
                self.sections[name] = f"{self.sections.get(name, '')} {' '.join(data.split())}".strip()


class Shell:
    """Runs `mlb` in this process and keeps what it printed."""

    def __init__(self, home: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._captured = captured
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._captured.readouterr()
        code = run(list(arguments))
        self.out, self.err = self._captured.readouterr()
        assert "Traceback" not in self.out + self.err
        return code

    def json(self, *arguments: str) -> Any:
        assert self(*arguments, "--json") in (0, 1), self.err
        return json.loads(self.out)

    def report(self, name: str, table: str = "small.plays") -> Path:
        return self.home / "reports" / "quality" / table / f"{name}.html"


@pytest.fixture
def mlb(
    database: Postgres, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Shell:  # fmt: skip
    """A home with three games on two dates, merged by the sinks; runs of Dagster are not needed for this."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(load_settings().jars)
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MAPPING, "utf-8")
    for name, value in {"HOME": home, "MAPPINGS": file.parents[1], "DATABASE_URL": database.url}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))
    bench = Bench(database, home / "lake", spark, mapping_of(MAPPING))
    bench.put(game(1, [(n, runs, f"play {n}") for n, runs in enumerate(RUNS[:3])]))
    bench.put(game(2, [(n, runs, f"<b>play & {n}") for n, runs in enumerate(RUNS[3:])]))
    bench.put(game(3, [(0, 3, "late")], MAY_2))
    bench.run()
    return Shell(home, capfd)


def test_profile_says_what_is_in_the_columns(mlb: Shell) -> None:
    """Figures of the rows asked for, from either place, as a table, JSON and a page."""
    found = {c["name"]: c for c in mlb.json("quality", "profile", "small.plays", "--to", "2024-05-01")["columns"]}
    known = [r for r in RUNS if r is not None]
    assert found["runs"]["count"] == len(known) and found["runs"]["rows"] == len(RUNS)
    assert found["runs"]["mean"] == sum(known) / len(known) and found["runs"]["max"] == 4
    assert found["runs"]["completeness"] == pytest.approx(5 / 6)
    assert found["game_date"]["min"] == found["game_date"]["max"] == "2024-05-01"
    whole = {c["name"]: c for c in mlb.json("quality", "profile", "small.plays", "--postgres")["columns"]}
    assert whole["runs"]["rows"] == 7 and whole["game_date"]["distinct"] == 2 and whole["game_pk"]["type"] == "bigint"
    page = mlb.home / "page.html"
    assert mlb("quality", "profile", "small.plays", "--html", str(page)) == 0
    line = next(line for line in mlb.out.splitlines() if line.strip().startswith("runs "))
    assert line.split()[:4] == ["runs", "int", "85.7", "5"]
    assert "small.plays, all rows: 7 rows in the Delta lake" in mlb.out and str(page) in mlb.err
    assert "column-runs" in Page(page.read_text("utf-8")).sections


def test_validate_judges_and_its_exit_code_tells(mlb: Shell, database: Postgres) -> None:
    """0 with warnings, 1 when a row breaks an error rule or the contract is broken; samples name the rows."""
    assert mlb("quality", "validate", "small.plays") == 0
    assert "runs_few: 1 of 7 rows, such as" in mlb.out and "game_pk = 2, play = 0, runs = 4" in mlb.out
    assert "0 broken of severity error, 1 of severity warn" in mlb.out
    orphan = next(r for r in mlb.json("quality", "validate", "small.plays")["rules"] if r["kind"] == "reference")
    assert (orphan["checked"], orphan["failed"], orphan["skipped"]) == (7, 0, None)
    with database.transaction() as connection:
        connection.execute("UPDATE small.plays SET runs = -1 WHERE game_pk = 3")
        connection.execute("DELETE FROM small.games WHERE game_pk = 1")
    found = mlb.json("quality", "validate", "small.plays", "--postgres")
    assert not found["passed"] and found["contract"] == []
    failed = {r["rule"]: (r["failed"], r["samples"]) for r in found["rules"] if r["failed"]}
    assert failed["runs_positive"] == (1, [{"game_pk": 3, "play": 0, "runs": -1}])
    assert failed["orphan(game_pk) -> small.games"][0] == 3
    with database.transaction() as connection:
        connection.execute("UPDATE small.plays SET runs = 1 WHERE game_pk = 3")
        connection.execute("ALTER TABLE small.plays ADD COLUMN extra text")
    assert mlb("quality", "validate", "small.plays", "--postgres") == 1
    assert "contract: column extra (string) is not in the mapping" in mlb.out


def test_suggest_prints_lines_for_the_mapping(mlb: Shell) -> None:
    """With the evidence; from seven rows it says that it may be chance."""
    found = mlb.json("quality", "suggest", "small.plays")
    assert found["rows"] == 7
    unique = next(s for s in found["suggestions"] if s["kind"] == "unique" and s["columns"] == ["note"])
    assert unique["tentative"] and "7 different values in 7 rows" in unique["evidence"]
    assert mlb("quality", "suggest", "small.plays") == 0
    assert unique["yaml"] in mlb.out and "may be chance" in mlb.out
    printed = yaml.safe_load(mlb.out)
    assert unique["entry"] in printed["data_quality"] and len(printed["data_quality"]) + len(printed["fields"]) == len(
        found["suggestions"]
    )


def test_report_is_one_page_with_everything(mlb: Shell) -> None:
    """Rules, contract, every column with its plot, suggestions; what people wrote is escaped."""
    assert mlb("quality", "report", "small.plays", "--date", "2024-05-01") == 0
    path = mlb.report("2024-05-01")
    assert str(path) in mlb.err and "small.plays, 2024-05-01: warned; 6 rows, 1 broken rule" in mlb.out
    page = Page(path.read_text("utf-8"))
    assert page.sections["verdict"] == "warned"
    assert "6 rows" in page.sections["counts"]
    assert re.search(r"failed runs_few expression warn 6 1 1 of them game_pk = 2, play = 0, runs = 4",
                     page.sections["runs_few"])  # fmt: skip
    assert page.sections["runs_positive"].startswith("passed runs_positive expression error 6 0")
    columns = ["game_pk", "game_date", "play", "runs", "note", "source_captured_at"]
    assert all(f"column-{c}" in page.sections for c in columns)
    assert "83.3 %" in page.sections["column-runs"] and "Runs." in page.sections["column-runs"]
    assert "Names and types are as small/game_v1 1.0 says" in page.sections["contract"]
    assert "<b>play" not in page.text and "mlb quality report small.plays --date 2024-05-01" in page.text
    bars = [t for plot in page.plots for t in (e.text for e in plot.iter() if e.tag.endswith("title"))]
    assert "0: 2 (40 %)" in bars and "5 of 6 rows have a value" in bars


def test_report_of_a_range_shows_its_dates(mlb: Shell) -> None:
    """The name of the file says which, a plot how many rows each has."""
    assert mlb("quality", "report", "small.games", "--from", "2024-05-01") == 0
    page = Page(mlb.report("2024-05-01_last", "small.games").read_text("utf-8"))
    shown = [e.text for p in page.plots for e in p.iter() if e.tag.endswith("title")][:2]
    assert shown == ["2024-05-01: 2 rows", "2024-05-02: 1 row"]
    assert "mlb quality report small.games --from 2024-05-01<" in page.text


def test_wrong_questions_are_told(mlb: Shell) -> None:
    """An unknown table with those close to it, a view, dates without rows, a table that was never made."""
    for arguments, code, told in [
        (["small.play"], 2, "no mapping has a table 'small.play'; close to it: small.plays"),
        (["small.games_now"], 2, "small.games_now is a view of small.games: ask for that table"),
        (["small.plays", "--from", "2024-05-02", "--to", "2024-05-01"], 2, "the range is reversed"),
        (["small.plays", "--from", "soon"], 2, "'soon' is no date"),
        (["small.plays", "--from", "2024-06-01"], 1,
         "small.plays, from 2024-06-01: the Delta lake has no rows of it; it has rows from 2024-05-01 to 2024-05-02"),
    ]:  # fmt: skip
        assert mlb("quality", "profile", *arguments) == code
        assert told in " ".join(re.sub(r"[│╭╮╰╯─]", " ", mlb.err).split())
    (mlb.home / "lake" / "normalized" / "small" / "plays").rename(mlb.home / "elsewhere")
    assert mlb("quality", "validate", "small.plays") == 1
    assert "has no table small.plays yet: run `mlb materialize --mapping small/game_v1`" in mlb.err
    assert mlb("quality", "report", "small.plays", "--date", "2024-05-01", "--to", "2024-05-02") == 2


# -- what a run leaves --


@pytest.fixture
def made(database: Postgres, spark: SparkSession, tmp_path: Path) -> Platform:
    """A platform of the small mapping with games on three dates to be materialized."""
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MAPPING, "utf-8")
    bench = Bench(database, tmp_path / "home" / "lake", spark, mapping_of(MAPPING))
    bench.put(game(1, [(n, runs, "a") for n, runs in enumerate(RUNS)]))
    bench.put(game(2, [(0, 4, "b")], MAY_2))
    bench.put(game(3, [(0, 1, "c")], MAY_2 + timedelta(days=1)))
    settings = Settings(home=tmp_path / "home", mappings=file.parents[1], database_url=database.url)
    return Platform(settings, spark_factory=lambda: spark)


DAYS = [MAY_1, MAY_2, MAY_2 + timedelta(days=1)]


def links(instance: DagsterInstance, table: str) -> dict[date, Path]:
    """Return the report that the metadata of each date's materialization names."""
    records = instance.fetch_materializations(table_key(table), limit=100).records
    events = [r.asset_materialization for r in records]
    return {
        date.fromisoformat(str(e.partition)): Path(str(e.metadata[reports.QUALITY_REPORT].value))
        for e in events
        if e is not None
    }


def test_a_run_leaves_the_report_its_metadata_names(made: Platform) -> None:
    """For every table and date, with the rules as they were judged when the captures were merged."""
    with DagsterInstance.ephemeral() as instance:
        report = materialize_dates(made, "small/game_v1", dates=DAYS, instance=instance)
        found = links(instance, "small.plays")
    assert sorted(found) == DAYS and report.seconds["reports"] > 0
    assert found[MAY_1] == made.settings.home / "reports" / "quality" / "small.plays" / "2024-05-01.html"
    pages = {day: Page(path.read_text("utf-8")) for day, path in found.items()}
    assert [pages[d].sections["counts"].split()[0] for d in DAYS] == ["6", "1", "1"]
    assert [pages[d].sections["verdict"] for d in DAYS] == ["warned", "warned", "passed"]
    assert "game_pk = 1, play = 3, runs = 4" in pages[MAY_1].sections["runs_few"]
    assert "83.3 %" in pages[MAY_1].sections["column-runs"] and pages[MAY_1].plots


def test_what_does_not_fit_into_the_time_says_how_to_make_it(made: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link never leads nowhere; a page that is still true is not given up for one that says nothing."""
    with DagsterInstance.ephemeral() as instance:
        with monkeypatch.context() as patched:
            patched.setattr(reports, "LEAST", 0)
            patched.setattr(reports, "SHARE", 0)
            materialize_dates(made, "small/game_v1", dates=DAYS, instance=instance)
        stubs = {day: Page(path.read_text("utf-8")) for day, path in links(instance, "small.plays").items()}
        for day, stub in stubs.items():
            assert stub.sections["page"].count("not made yet") == 1
            assert f"mlb quality report small.plays --date {day}" in stub.text
        materialize_dates(made, "small/game_v1", dates=DAYS, instance=instance)
        whole = links(instance, "small.plays")[MAY_1].read_text("utf-8")
        assert "column-runs" in whole
        with monkeypatch.context() as patched:
            patched.setattr(reports, "LEAST", 0)
            patched.setattr(reports, "SHARE", 0)
            materialize_dates(made, "small/game_v1", dates=DAYS, full=True, instance=instance)
        assert links(instance, "small.plays")[MAY_1].read_text("utf-8") == whole


@pytest.fixture
def catch_up(
    made: Platform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`mlb quality report --missing` on the platform's home: its exit code and what it printed. Spark fails there."""
    settings = made.settings
    for name in ("home", "mappings", "database_url"):
        monkeypatch.setenv(f"MLB_{name.upper()}", str(getattr(settings, name)))
    shell = Shell(settings.home, capfd)

    def no_spark(_: Platform) -> None:
        raise AssertionError("no Spark is needed for this")

    def command(*arguments: str) -> tuple[int, str]:
        with monkeypatch.context() as patched:
            patched.setattr(Platform, "spark", no_spark)
            code = shell("quality", "report", "--missing", *arguments)
        return code, " ".join((shell.out + shell.err).split())

    return command


def stubs(found: dict[date, Path]) -> dict[date, bool]:
    """Return of each linked page, all of which must be there, whether it only says how to make the report."""
    return {day: "not made yet" in Page(path.read_text("utf-8")).sections["page"] for day, path in found.items()}


def test_the_links_of_a_run_that_is_ended_lead_to_pages_that_can_be_caught_up_with(
    made: Platform, spark: SparkSession, catch_up: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its first table, or failing while it checks; a page whose rows have changed is not left either."""

    def kill(_: object) -> None:
        raise KeyboardInterrupt

    def fail(*_: object, **__: object) -> None:
        raise PlatformError("the checks cannot be made")

    monkeypatch.setattr(work, "AHEAD_BYTES", 0)  # the second table is not on its way yet
    with DagsterInstance.ephemeral() as instance:
        with pytest.raises(KeyboardInterrupt):
            materialize_dates(made, "small/game_v1", dates=DAYS, on_progress=kill, instance=instance)
        assert stubs(links(instance, "small.games")) == dict.fromkeys(DAYS, True)
        assert not links(instance, "small.plays")
        assert catch_up("--from", "2024-05-02") == (0, f"2 reports made in {made.settings.quality_reports}")
        assert stubs(links(instance, "small.games")) == dict.fromkeys(DAYS[1:], False) | {MAY_1: True}
        with monkeypatch.context() as patched:
            patched.setattr(judging, "evaluate", fail)
            with pytest.raises(PlatformError, match="the checks cannot be made"):
                materialize_dates(made, "small/game_v1", dates=DAYS, instance=instance)
        assert stubs(links(instance, "small.plays")) == dict.fromkeys(DAYS, True)
        assert catch_up("--mapping", "small/game_v1")[1].startswith("4 reports made")
        assert catch_up() == (0, "No report is missing.")
        for table in ("small.games", "small.plays"):
            assert stubs(links(instance, table)) == dict.fromkeys(DAYS, False)
        page = Page(links(instance, "small.plays")[MAY_1].read_text("utf-8"))
        assert page.sections["verdict"] == "warned" and "game_pk = 1, play = 3, runs = 4" in page.sections["runs_few"]

        bench = Bench(made.postgres, made.settings.home / "lake", spark, mapping_of(MAPPING))
        bench.put(game(1, [(0, 1, "corrected")]), minute=1)
        with pytest.raises(KeyboardInterrupt):
            materialize_dates(
                made, "small/game_v1", tables=["small.plays"], dates=DAYS, on_progress=kill, instance=instance
            )
        assert stubs(links(instance, "small.plays")) == {MAY_1: True} | dict.fromkeys(DAYS[1:], False)


def test_reports_that_cannot_be_written_do_not_fail_the_run_and_are_told(
    made: Platform, catch_up: Callable[..., tuple[int, str]]
) -> None:
    """The rows are merged and recorded, nothing links to pages that are not there; afterwards they can be made."""
    folder = made.settings.quality_reports
    folder.parent.mkdir(parents=True)
    folder.write_text("a file in the way", "utf-8")
    with DagsterInstance.ephemeral() as instance:
        report = materialize_dates(made, "small/game_v1", dates=DAYS, instance=instance)
        records = instance.fetch_materializations(table_key("small.plays"), limit=100).records
    events = [r.asset_materialization for r in records if r.asset_materialization is not None]
    assert len(events) == len(DAYS) and not any(reports.QUALITY_REPORT in e.metadata for e in events)
    assert report.tables["small.plays"].counts["delta"].inserted == len(RUNS) + 2
    assert len(report.problems) == 1
    assert re.match(r"quality reports of 6 tables and dates are missing: .* cannot be written: .*--missing",
                    report.problems[0])  # fmt: skip
    code, told = catch_up()
    assert code == 1 and "cannot be written" in told
    folder.unlink()
    assert catch_up()[1].startswith("6 reports made")
    assert sorted(p.name for p in (folder / "small.plays").iterdir()) == [f"{day}.html" for day in DAYS]


def test_missing_takes_no_table(catch_up: Callable[..., tuple[int, str]]) -> None:
    assert catch_up("small.plays")[0] == 2 and catch_up("--mapping", "small/none")[0] == 2
    assert catch_up() == (0, "No report is missing."), "nothing was merged"
