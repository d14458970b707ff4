"""Spark is started ahead of its use, and what goes wrong there is told where it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.spark import SparkError


def test_what_goes_wrong_ahead_is_raised_where_spark_is_needed(tmp_path: Path) -> None:
    """There are no jars in this home: nothing is raised where the start begins, and nothing is left hanging."""
    made = Platform(Settings(home=tmp_path))
    made.start_spark()
    made.wait_for_spark()
    for _ in range(2):
        with pytest.raises(SparkError, match="make setup"):
            made.spark()


def test_a_session_that_is_given_is_taken_and_none_is_started(tmp_path: Path) -> None:
    given: Any = object()
    made = Platform(Settings(home=tmp_path), spark_factory=lambda: given)
    made.start_spark()
    made.wait_for_spark()
    assert made.spark() is given
