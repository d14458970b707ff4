"""What the benchmarks stand on: the peer's tables are the mapping's, and its rounding is that of decimals."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest

from benchmarks.peers.handwritten_rows import _decimals
from benchmarks.peers.handwritten_tables import TABLES, TECHNICAL
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from resources.sql_types import arrow_type


def test_peer_has_the_tables_of_the_mapping() -> None:
    """The same columns with the same types, keys and indexes: otherwise the comparison of figures means nothing."""
    mapping = MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")
    assert len(TABLES) == 17
    for table in TABLES:
        spec = merge_spec(mapping.by_name[f"game.{table.name}"])
        assert {c.name: arrow_type(c.sql_type) for c in spec.columns} == {f.name: f.type for f in table.schema}
        assert list(spec.key) == table.key_columns
        assert {c.name for c in spec.columns if c.technical} == set(TECHNICAL)
        assert [", ".join(index.columns) for index in spec.indexes] == list(table.indexes)


@pytest.mark.parametrize("scale", [2, 3])
def test_decimals_are_rounded_half_up_by_their_digits(scale: int) -> None:
    """Floats that stand for texts such as 1.005 are rounded as the text would be; nulls stay nulls."""
    random_numbers = random.Random(7)
    texts = [f"{random_numbers.uniform(-300, 3000):.{random_numbers.randint(0, 15)}f}" for _ in range(5_000)]
    texts += ["1.005", "2.675", "-2.675", "0.0005", "-0.0049", "0", "1.0045", "2205"]
    kind = pa.decimal128(9, scale)
    found = _decimals(pa.array([*map(float, texts), None], pa.float64()), kind).to_pylist()
    step = Decimal(1).scaleb(-scale)
    assert found == [*(Decimal(text).quantize(step, ROUND_HALF_UP) for text in texts), None]
