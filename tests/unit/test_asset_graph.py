"""Every table and view of every mapping is an asset under its endpoint, told as completely as its mapping tells it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from mlb_platform.definitions import build_definitions
from mlb_platform.settings import PROJECT_ROOT, Settings

MAPPINGS = PROJECT_ROOT / "mapping_configs"
CHECKS = {"error_rules", "warn_rules", "parity"}
TECHNICAL = {"source_captured_at", "transform_timestamp", "lineage_metadata"}
FILES = [p for p in sorted(MAPPINGS.glob("*/*.yaml")) if p.parent.name not in ("known", "released", "exports")]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> dg.AssetGraph:
    """The asset graph of the shipped mappings; no server is started for it."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), database_url="postgresql://nobody@127.0.0.1:9/none")
    return build_definitions(settings).resolve_asset_graph()


@pytest.fixture(scope="module", params=FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def mapping(request: pytest.FixtureRequest) -> dict[str, object]:
    """A mapping file as plain YAML, not as the platform reads it."""
    return yaml.safe_load(Path(request.param).read_text("utf-8"))  # type: ignore[no-any-return]


def test_the_endpoints_are_all_there() -> None:
    """The mappings that the issue names exist, so the tests below are about something."""
    assert {f"{p.parent.name}/{p.stem}" for p in FILES} >= {
        "game/live_game_v1", "game/boxscore", "game/linescore", "game/play_by_play", "schedule/schedule",
        "schedule/postseason", "schedule/postseason_series", "person/person", "team/team", "team/roster", "venue/venue",
        "season/seasons",
    }  # fmt: skip


def test_every_table_is_an_asset_with_schema_lineage_and_checks(graph: dg.AssetGraph, mapping: dict) -> None:  # type: ignore[type-arg]
    """Group, description, each declared column with its description, where each value comes from, and the checks."""
    raw = dg.AssetKey(["raw", *mapping["source"]["raw_table"].split(".")])
    assert graph.get(raw).group_name == mapping["source"]["endpoint"]
    for target in mapping["targets"]:
        key = dg.AssetKey(target["name"].split("."))
        node = graph.get(key)
        assert node.group_name == mapping["source"]["endpoint"], target["name"]
        assert node.description == target["description"]
        assert node.parent_keys == {raw}
        columns = {c.name: c for c in node.metadata["dagster/column_schema"].columns}
        assert {f["name"] for f in target["fields"]} | TECHNICAL <= columns.keys()
        for f in target["fields"]:
            assert f["description"] and str(columns[f["name"]].description).startswith(f["description"]), f["name"]
        from_document = {
            f["name"] for f in target["fields"] if any(str(p).startswith("$.") for p in _listed(f.get("json_path")))
        }
        lineage = node.metadata["dagster/column_lineage"].deps_by_column
        missing = from_document - lineage.keys()
        assert lineage.keys() - {"source_captured_at"} and not missing, (target["name"], missing)
        assert all(d.asset_key == raw for deps in lineage.values() for d in deps)
        checks = {k.name for k in graph.asset_check_keys if k.asset_key == key}
        assert checks >= CHECKS | ({"relationships"} if target.get("relationships") else set()), target["name"]


def test_every_view_is_an_asset_of_its_table(graph: dg.AssetGraph, mapping: dict) -> None:  # type: ignore[type-arg]
    """A view has the columns of its table, each coming from the table's own."""
    for view in mapping.get("views", []):
        node, table = graph.get(dg.AssetKey(view["name"].split("."))), dg.AssetKey(view["table"].split("."))
        assert node.group_name == mapping["source"]["endpoint"]
        assert node.description.startswith(view["description"])
        assert node.parent_keys == {table}
        names = [c.name for c in node.metadata["dagster/column_schema"].columns]
        assert names == [c.name for c in graph.get(table).metadata["dagster/column_schema"].columns]
        lineage = node.metadata["dagster/column_lineage"].deps_by_column
        assert {n: [(d.asset_key, d.column_name) for d in deps] for n, deps in lineage.items()} == {
            n: [(table, n)] for n in names
        }


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
