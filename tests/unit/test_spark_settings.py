"""What a session's settings say of where its workers are, and what is told of a task that failed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources import spark
from resources.executor_rows import _reason


@pytest.mark.parametrize(
    ("master", "loopback"), [("local[*]", True), ("local-cluster[2,1,1024]", True), ("spark://master:7077", False)]
)
def test_workers_on_other_machines_can_reach_the_driver(
    master: str, loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "jar_paths", lambda folder: [])
    found = spark.spark_settings(Path("jars"), Path("work"), master)
    assert (found.get("spark.driver.host") == "127.0.0.1") == loopback
    assert ("spark.sql.shuffle.partitions" in found) == loopback


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
         "  File \"a.py\", line 3, in f\n    g({x: 1})\nresources.postgres.DatabaseError: it is full\n\n\tat org.x",
         "resources.postgres.DatabaseError: it is full"),
        ("[CAST_INVALID_INPUT] no number\nmore", "[CAST_INVALID_INPUT] no number"),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failed_task_is_one_line(text: str, told: str) -> None:
    assert _reason(text) == told
