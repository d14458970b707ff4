"""The whole way on a real cluster, workers in processes of their own; `make test-cluster` runs far more there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resources.postgres import Postgres

SCRIPT = Path(__file__).with_name("on_cluster.py")


@pytest.mark.xdist_group("spark")  # beside another session, memory and cores would be short
def test_tables_on_a_cluster_of_two_workers_are_those_of_one_process(database: Postgres, tmp_path: Path) -> None:
    arguments = [database.url, str(tmp_path / "lake"), str(tmp_path / "spark")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[:6000]
    with database.transaction() as connection:
        left = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'merge_stage_%'").fetchone()
    assert left == (0,)
