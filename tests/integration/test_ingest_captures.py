"""Ingesting folders: every file is accounted for, and one bad file costs no other."""

from __future__ import annotations

import gc
import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mlb_platform.ingestion.captures_folder import IngestError, IngestReport, ingest_folder
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from resources.postgres import Postgres
from resources.quality_store import QualityStore
from resources.raw_store import RawCapture, RawStore

CAPTURES = PROJECT_ROOT.parent / "shared" / "captures"
MAPPING = "game/live_game_v1"
TABLE = "game.live_game_v1"
HEADER = "path\tendpoint\tmethod\tid\tcaptured_at\tnote\n"
with_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not beside the project")


def ingest(folder: Path, database: Postgres, **options: object) -> IngestReport:
    mappings = MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings
    return ingest_folder(folder, RawStore(database), QualityStore(database), mappings, **options)  # type: ignore[arg-type]


def feed(game: int) -> bytes:
    document = {"gamePk": game, "gameData": {"datetime": {"officialDate": "2024-07-12"}}, "liveData": {"plays": {}}}
    return json.dumps(document).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good games, and one file of every kind that goes wrong."""
    root = tmp_path / "captures"
    (root / "game" / "live_game_v1").mkdir(parents=True)
    lines = []

    def add(name: str, body: bytes | None, *, id_: str = "", at: str = "2024-07-13T04:00:00Z") -> None:
        if body is not None:
            (root / "game" / "live_game_v1" / name).write_bytes(body)
        lines.append(f'game/live_game_v1/{name}\tgame\tlive_game_v1\t{id_}\t{at}\tsays "hello\n')

    add("good.json", feed(1), id_="1")
    add("good.json.gz", gzip.compress(feed(2)), id_="2")
    add("another.json", feed(3))
    add("empty.json", b"{}")
    add("page.json", b"<html><title>503</title>")
    add("half.json.gz", gzip.compress(feed(4)[:50]))
    add("cut.json.gz", gzip.compress(feed(4))[:40])
    add("other.json", feed(4), id_="5")
    add("missing.json", None)
    add("when.json", feed(6), at="yesterday")
    add("zone.json", feed(6), at="2024-07-13T04:00:00")
    add("digits.json", feed(6).replace(b'"plays"', b'"x": 0.' + b"0" * 20000 + b'1, "plays"'))
    lines.append("../outside.json\tgame\tlive_game_v1\t\t2024-07-13T04:00:00Z\t\n")
    lines.append("game/live_game_v1/good.json\n")
    lines.append("status.json\tmeta\tgame_status\t\t2024-07-13T04:00:00Z\t\n")
    (root / "status.json").write_text("{}")
    (tmp_path / "outside.json").write_bytes(feed(9))
    (root / "game" / "live_game_v1" / "unlisted.json").write_bytes(feed(7))
    (root / "README.md").write_text("notes")
    (root / "INDEX.tsv").write_text(HEADER + "".join(lines))
    return root


def test_every_file_is_accounted_for(folder: Path, database: Postgres) -> None:
    report = ingest(folder, database)
    reasons = {f"{Path(r.source).name}: {r.reason}" for r in report.rejections}
    for expected in (
        "empty.json: another shape: no gamePk", "page.json: an HTML page titled '503'", "half.json.gz: truncated JSON",
        "cut.json.gz: the gzip file is truncated", "other.json: the payload is of gamePk 4, but 5 was asked for",
        "missing.json: line 10 of INDEX.tsv names a file that is not there", "when.json: captured_at 'yesterday'",
        "zone.json: captured_at '2024-07-13T04:00:00' has no time zone", "digits.json: PostgreSQL cannot store it",
        "outside.json: line 14 of INDEX.tsv names a file outside", "good.json: line 15 of INDEX.tsv lacks",
        "unlisted.json: the file is not in INDEX.tsv",
    ):  # fmt: skip
        assert [r for r in reasons if r.startswith(expected)], (expected, reasons)
    assert (report.stored, report.repeats, report.rejected) == (3, 0, 12)
    assert dict(report.skipped) == {"meta/game_status": 1}
    assert [Path(name).name for name in report.ignored] == ["README.md"]
    assert report.exit_code == 1
    assert report.summary == (
        f"{folder}: 3 stored, 0 repeated (already there), 12 rejected, 1 skipped (no mapping: meta/game_status 1), "
        "1 other files ignored"
    )
    rows = RawStore(database).rows(TABLE)
    assert [row.entity_key for row in rows] == ["1", "2", "3"]
    assert {row.partition_date for row in rows} == {date(2024, 7, 12)}
    assert {row.captured_at for row in rows} == {datetime(2024, 7, 13, 4, tzinfo=UTC)}
    with database.transaction() as connection:
        params = connection.execute(f"SELECT params FROM {TABLE} ORDER BY entity_key").fetchall()
    assert params == [({"id": "1"},), ({"id": "2"},), ({},)]


def test_again_stores_and_rejects_nothing_new(folder: Path, database: Postgres) -> None:
    ingest(folder, database)
    report = ingest(folder, database)
    assert (report.stored, report.repeats, report.rejected) == (0, 3, 12)
    assert len(QualityStore(database).rejected()) == 12
    assert len(RawStore(database).rows(TABLE)) == 3


def test_two_folders_at_once_store_each_capture_once(folder: Path, database: Postgres) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: ingest(folder, Postgres(database.url)), range(4)))
    assert sum(report.stored for report in reports) == 3
    assert {report.stored + report.repeats for report in reports} == {3}


def test_plain_files_need_to_be_told_what_they_are(tmp_path: Path, database: Postgres) -> None:
    (tmp_path / "a.json").write_bytes(feed(1))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(feed(2)))
    (tmp_path / ".hidden.json").write_bytes(b"x")
    told = {"endpoint": "game", "method": "live_game_v1"}
    with pytest.raises(IngestError, match="no INDEX.tsv, so its files need --captured-at"):
        ingest(tmp_path, database, **told)
    with pytest.raises(IngestError, match="no ISO time"):
        ingest(tmp_path, database, **told, captured_at="today")
    with pytest.raises(IngestError, match="no mapping 'game/nothing'; there are: .*game/live_game_v1"):
        ingest(tmp_path, database, endpoint="game", method="nothing", captured_at="2024-07-13T00:00:00-04:00")
    seen: list[tuple[int, int, str]] = []
    report = ingest(
        tmp_path, database, **told, captured_at="2024-07-13T00:00:00-04:00", progress=lambda *step: seen.append(step)
    )
    assert (report.stored, report.exit_code) == (2, 0)
    assert seen == [(2, 2, "b.json.gz")]
    assert {r.captured_at for r in RawStore(database).rows(TABLE)} == {datetime(2024, 7, 13, 4, tzinfo=UTC)}


def test_folders_that_make_no_sense_are_refused(tmp_path: Path, database: Postgres) -> None:
    told = {"endpoint": "game", "method": "live_game_v1", "captured_at": "2024-07-13T04:00:00Z"}
    with pytest.raises(IngestError, match="does not exist"):
        ingest(tmp_path / "nowhere", database)
    (tmp_path / "file.json").write_text("{}")
    with pytest.raises(IngestError, match="is a file"):
        ingest(tmp_path / "file.json", database)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(IngestError, match="has no captures"):
        ingest(empty, database, **told)
    (empty / "INDEX.tsv").write_text("file\twhen\n")
    with pytest.raises(IngestError, match="has no column path, endpoint, method, captured_at"):
        ingest(empty, database)
    with pytest.raises(IngestError, match="no mapping 'x/y'"):
        ingest(empty, database, only_mapping="x/y")


@with_captures
def test_the_captures_of_the_feed(database: Postgres, tmp_path: Path) -> None:
    """All sixteen feeds are stored under their official dates; nothing of them is refused."""
    report = ingest(CAPTURES, database, only_mapping=MAPPING)
    assert (report.stored, report.rejected, report.exit_code) == (16, 0, 0)
    assert report.filtered == 71
    rows = RawStore(database).rows(TABLE)
    assert len({row.entity_key for row in rows}) == 13
    assert {row.partition_date for row in rows if row.entity_key == "747175"} == {date(2024, 7, 12)}
    assert {row.partition_date for row in rows if row.entity_key == "563408"} == {date(2018, 10, 24)}
    assert ingest(CAPTURES, database, only_mapping=MAPPING).repeats == 16


@with_captures
def test_without_a_filter_what_no_mapping_provides_is_listed(database: Postgres) -> None:
    """Every file is stored, named as without mapping, or rejected: three name no game, neither in body nor in index."""
    report = ingest(CAPTURES, database)
    assert report.exit_code == 1
    assert report.stored + report.skipped.total() + report.rejected == 87
    assert dict(report.skipped) == {"game/live_game_diff_patch_v1": 2, "meta/game_status": 1}
    assert {Path(r.source).parent.name for r in report.rejections} == {"boxscore", "linescore", "play_by_play"}
    assert report.rejected == 3 and all(r.reason.startswith("no id") for r in report.rejections)


def test_an_index_with_a_mark_and_windows_lines(database: Postgres, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(feed(1))
    line = "a.json\tgame\tlive_game_v1\t1\t2024-07-13T04:00:00Z\t\r\n"
    (tmp_path / "INDEX.tsv").write_bytes(b"\xef\xbb\xbf" + (HEADER.replace("\n", "\r\n") + line).encode())
    assert ingest(tmp_path, database).stored == 1


def index(folder: Path, **captured_at: str) -> None:
    """Write the index of the feeds of a folder by name, with when each was captured."""
    lines = [f"{name}.json\tgame\tlive_game_v1\t\t{at}\t\n" for name, at in captured_at.items()]
    (folder / "INDEX.tsv").write_text(HEADER + "".join(lines))


def test_a_folder_in_it_that_cannot_be_read_is_told(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its captures would be left out without a word."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "a.json").write_bytes(feed(1))
    scan = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(IngestError, match=r"secret cannot be read: Permission denied; nothing was ingested"):
        ingest(tmp_path, database, endpoint="game", method="live_game_v1", captured_at="2024-07-13T04:00:00Z")


def test_a_link_that_leads_nowhere_is_one_rejection(database: Postgres, tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.json").write_bytes(feed(1))
    report = ingest(tmp_path, database, endpoint="game", method="live_game_v1", captured_at="2024-07-13T04:00:00Z")
    assert report.stored == 1
    assert [r.reason for r in report.rejections] == ["the file cannot be read: No such file or directory"]


@pytest.mark.parametrize("depth", [260, 600, 1000])
def test_json_that_is_nested_too_deeply_is_one_rejection(database: Postgres, tmp_path: Path, depth: int) -> None:
    """It can be read, but not written again: refused at the gate, and the good file beside it is stored."""
    (tmp_path / "good.json").write_bytes(feed(1))
    deep = feed(2).replace(b'"plays": {}', b'"plays": ' + b"[" * depth + b"]" * depth)
    (tmp_path / "deep.json").write_bytes(deep)
    index(tmp_path, good="2024-07-13T04:00:00Z", deep="2024-07-13T04:00:00Z")
    report = ingest(tmp_path, database)
    assert (report.stored, [r.reason for r in report.rejections]) == (1, ["the JSON is nested too deeply"])


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_beyond_the_calendar_is_one_rejection(database: Postgres, tmp_path: Path, at: str) -> None:
    """In UTC it would be of the year 10000, or of none."""
    (tmp_path / "good.json").write_bytes(feed(1))
    (tmp_path / "late.json").write_bytes(feed(2))
    index(tmp_path, good="2024-07-13T04:00:00Z", late=at)
    report = ingest(tmp_path, database)
    assert report.stored == 1
    assert [r.reason for r in report.rejections] == [f"captured_at {at!r} is not between the years 1 and 9999 in UTC"]


@pytest.mark.parametrize("name", ["nul\0", "long" * 100])
def test_names_that_no_file_can_have_hold_up_nothing(database: Postgres, tmp_path: Path, name: str) -> None:
    """The line is told as one of a file that is not there."""
    (tmp_path / "good.json").write_bytes(feed(1))
    index(tmp_path, **{"good": "2024-07-13T04:00:00Z", name: "2024-07-13T04:00:00Z"})
    report = ingest(tmp_path, database)
    assert (report.stored, report.rejected) == (1, 1)
    assert report.rejections[0].reason == "line 3 of INDEX.tsv names a file that is not there"


def test_names_that_are_no_utf8_hold_up_nothing(database: Postgres, tmp_path: Path) -> None:
    """They can be in no INDEX.tsv; among plain files they are as good as others, and are told with their bytes."""
    indexed, plain = tmp_path / "indexed", tmp_path / "plain"
    told = {"endpoint": "game", "method": "live_game_v1", "captured_at": "2024-07-13T04:00:00Z"}
    for number, folder in enumerate((indexed, plain)):
        folder.mkdir()
        (folder / "good.json").write_bytes(feed(3 * number + 1))
        os.mkdir(os.fsencode(folder) + b"/g\xe9")
        os.mkdir(os.fsencode(folder) + b"/g\xe9/m\xe9")
        for name, body in (
            (b"caf\xe9.json", feed(3 * number + 2)),
            (b"g\xe9/m\xe9/caf\xe9.json", b"{}"),
            (b"\xe9.txt", b""),
        ):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(body)
    index(indexed, good="2024-07-13T04:00:00Z")
    names: list[str] = []
    report = ingest(indexed, database, progress=lambda done, of, name: names.append(name))
    assert (report.stored, report.rejected) == (1, 2)
    assert {r.source for r in report.rejections} == {
        f"{indexed}/caf\\xe9.json",
        f"{indexed}/g\\xe9/m\\xe9/caf\\xe9.json",
    }
    again = ingest(plain, database, **told, progress=lambda done, of, name: names.append(name))
    assert (again.stored, again.rejected, again.ignored) == (2, 1, [f"{plain}/\\xe9.txt"])
    assert len(QualityStore(database).rejected()) == 3
    "".join([*names, *again.ignored, report.summary, again.summary]).encode()


def test_a_text_that_is_no_utf8_can_be_a_reason(database: Postgres) -> None:
    """Whoever rejects: what the database cannot hold in a text is replaced."""
    quality = QualityStore(database)
    assert quality.reject(source="a\udce9b\0", endpoint="e", method="m", reason="r", excerpt="", content_hash="c")
    assert quality.rejected()[0].source == "a\ufffdb\ufffd"


def test_only_some_captures_are_in_memory_at_a_time(database: Postgres, tmp_path: Path) -> None:
    """However many files there are: what is stored and counted is let go of."""
    for number in range(1, 161):
        (tmp_path / f"{number}.json").write_bytes(feed(number))
    held: list[int] = []

    def look(done: int, of: int, name: str) -> None:
        held.append(sum(type(one) is RawCapture for one in gc.get_objects()))

    told = {"endpoint": "game", "method": "live_game_v1", "captured_at": "2024-07-13T04:00:00Z"}
    assert ingest(tmp_path, database, **told, progress=look).stored == 160
    assert len(held) == 20 and max(held) <= 6 * 8
