"""The generated reference: every table, column, relationship, rule and reason of the mappings is on a page."""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlb_platform.cli.main import run
from mlb_platform.mapping.loader import MappingRegistry, mapping_files
from mlb_platform.mapping.reference import INDEX, reference_pages, stale_pages, write_pages
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.known import known_orphans
from mlb_platform.settings import PROJECT_ROOT

MAPPINGS = PROJECT_ROOT / "mapping_configs"


@pytest.fixture(scope="module")
def mappings() -> dict[str, ResolvedMapping]:
    """The shipped mappings, read once."""
    return MappingRegistry(MAPPINGS).mappings


@pytest.fixture(scope="module")
def pages(mappings: dict[str, ResolvedMapping]) -> dict[str, str]:
    """The pages of the shipped mappings."""
    return reference_pages(mappings, known_orphans(MAPPINGS))


def flat(text: str) -> str:
    """Return a text as a table cell has it."""
    return " ".join(str(text).split()).replace("|", "\\|")


@pytest.mark.parametrize("file", mapping_files(MAPPINGS), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_page_has_all_that_its_mapping_says(pages: dict[str, str], file: Path) -> None:
    """Read from the YAML as it is: columns with types and descriptions, keys, relationships, rules and reasons."""
    data: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    page = pages[f"{file.parent.name}/{file.stem}.md"]
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n## ")}
    assert f"`{data['source']['raw_table']}`" in page
    for target in data["targets"]:
        section = sections[target["name"]]
        assert flat(target["description"]) in section
        assert "| key | " + ", ".join(f"`{k}`" for k in target["primary_key"]) in section
        rows = [line for line in section.splitlines() if line.startswith("| ") and line.count(" | ") >= 4]
        lines = {line.split(" | ")[0].strip("|* `"): line for line in rows}
        flattened = flat(section)
        for f in target["fields"]:
            assert flat(f["description"]) in lines[f["name"]], (target["name"], f["name"])
            assert str(f["type"]).replace(" ", "") in lines[f["name"]].replace(" ", "")
        for r in target.get("relationships", []):
            assert f"{r['to_table']}]" in section or f"`{r['to_table']}`" in section
        for i in target.get("indexes", []):
            assert "| " + ", ".join(f"`{c}`" for c in i["columns"]) + " | btree" in section
        for rule in target.get("data_quality", []):
            assert f"| {flat(rule['name'])} | {rule['severity']} |" in section
            assert flat(rule["description"]) in flattened
    for ignored in data.get("ignore_paths", []):
        assert f"| `{ignored['path']}` |" in page and flat(ignored["reason"]) in page
    for view in data.get("views", []):
        assert flat(view["description"]) in flat(sections[view["name"]])
        assert f"[{view['name']}]({file.parent.name}/{file.stem}.md#{view['name'].replace('.', '')})" in pages[INDEX]


def test_known_orphans_stand_with_their_table(mappings: dict[str, ResolvedMapping], pages: dict[str, str]) -> None:
    """Each with its game, value and reason, on the page of its mapping."""
    owners = {table: m.name for m in mappings.values() for table in m.by_name}
    for known in known_orphans(MAPPINGS):
        (section,) = [s for s in pages[f"{owners[known.table]}.md"].split("\n## ") if s.startswith(known.table + "\n")]
        (line,) = [x for x in section.splitlines() if x.startswith(f"| {known.entity} |")]
        assert flat(known.reason) in line and all(value in line for value in known.values)


def test_links_lead_to_headings_that_are_there(pages: dict[str, str]) -> None:
    """Every link of every page is to a page of the reference and a heading on it."""
    anchors = {
        name: {re.sub(r"[^\w\- ]", "", line[3:]).lower() for line in text.splitlines() if line.startswith("## ")}
        for name, text in pages.items()
    }
    links = 0
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            page = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            assert page in pages, (name, target)
            assert not anchor or anchor in anchors[page], (name, target)
            links += 1
    assert links > 200


def test_pages_are_the_same_each_time_and_stale_ones_are_told(
    mappings: dict[str, ResolvedMapping], pages: dict[str, str], tmp_path: Path
) -> None:
    """In any order of the mappings; a changed, a missing and a left-over page are stale, and written or removed."""
    assert reference_pages(dict(reversed(mappings.items())), known_orphans(MAPPINGS)) == pages
    assert write_pages(tmp_path, pages) == sorted(pages)
    assert stale_pages(tmp_path, pages) == [] and write_pages(tmp_path, pages) == []
    (tmp_path / INDEX).write_text("old", "utf-8")
    (tmp_path / "venue" / "venue.md").unlink()
    (tmp_path / "venue" / "gone.md").write_text("gone", "utf-8")
    wrong = [INDEX, "venue/gone.md", "venue/venue.md"]
    assert stale_pages(tmp_path, pages) == wrong == write_pages(tmp_path, pages)
    assert stale_pages(tmp_path, pages) == [] and not (tmp_path / "venue" / "gone.md").exists()


def test_the_command_writes_checks_and_names_what_is_stale(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--check` writes nothing: 1 with the page and what to run, 0 when all is current."""
    monkeypatch.setenv("MLB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLB_MAPPINGS", str(tmp_path / "mappings"))
    shutil.copytree(MAPPINGS / "season", tmp_path / "mappings" / "season")
    out = str(tmp_path / "reference")
    assert run(["mapping", "docs", "--check", "--out", out]) == 1
    assert "run `mlb mapping docs`" in capfd.readouterr().err and not Path(out).exists()
    assert run(["mapping", "docs", "--out", out]) == 0
    assert run(["mapping", "docs", "--check", "--out", out]) == 0
    page = Path(out) / "season" / "seasons.md"
    page.write_text(page.read_text("utf-8") + "mine", "utf-8")
    assert run(["mapping", "docs", "--check", "--out", out]) == 1
    assert "season/seasons.md" in capfd.readouterr().err
