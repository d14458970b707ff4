"""Spark's JVM takes its classes from the archive where there is one that fits it, and starts without one as well."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlb_platform.settings import load_settings
from resources.spark import SparkError, class_archive, install_jars, spark_settings
from resources.spark_archive import make_class_archive, remove_other_archives

START = """
import sys
from pathlib import Path
from resources.spark import open_session, spark_settings
jars, work = map(Path, sys.argv[1:])
settings = spark_settings(jars, work, "local[1]", quick_start=True)
settings["spark.driver.extraJavaOptions"] += f" -Xlog:class+load:file={work / 'classes.log'}"
spark = open_session(settings)
assert spark.range(3).count() == 3
spark.stop()
"""


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder with the jars and no archive."""
    fetched = load_settings().jars
    install_jars(fetched, fetched.parent / "ivy")
    folder = tmp_path / "jars"
    folder.mkdir()
    for jar in fetched.glob("*.jar"):
        (folder / jar.name).symlink_to(jar)
    return folder


def shared_classes(jars: Path, work: Path) -> int:
    """Start Spark in a process of its own and return how many of its classes came from an archive that we made."""
    work.mkdir()
    subprocess.run([sys.executable, "-c", START, str(jars), str(work)], check=True, capture_output=True)
    loaded = (work / "classes.log").read_text("utf-8", errors="replace")
    return len(re.findall(r"org\.apache\.spark\.\S+ source: shared objects file", loaded))


def test_classes_come_from_the_archive_and_a_file_that_is_none_does_no_harm(jars: Path, tmp_path: Path) -> None:
    """The archive is that of `make setup`, where it is there: to make one takes a minute."""
    made = load_settings().jars
    archive = class_archive(made)
    assert archive is not None
    if not archive.is_file():
        assert make_class_archive(made) == archive
    assert archive.stat().st_size > 1 << 20
    assert shared_classes(made, tmp_path / "with") > 1_000
    broken = class_archive(jars)
    assert broken is not None
    broken.write_bytes(b"nothing")
    assert shared_classes(jars, tmp_path / "broken") == 0


def test_the_archive_of_another_spark_is_removed(tmp_path: Path) -> None:
    old, own, other = (tmp_path / name for name in ("spark-0.9.jsa", "spark-4.0.jsa", "a.jar"))
    for file in (old, own, other):
        file.touch()
    remove_other_archives(own)
    assert sorted(tmp_path.iterdir()) == [other, own]


def test_a_place_that_the_jvm_cannot_be_told_of_is_left_alone(jars: Path, tmp_path: Path) -> None:
    spaced, archive = tmp_path / "with space", class_archive(jars)
    assert archive is not None
    archive.touch()
    jars.rename(spaced)
    assert class_archive(spaced) is None
    with pytest.raises(SparkError, match="spaces or quotes"):
        make_class_archive(spaced)
    assert "SharedArchiveFile" not in spark_settings(spaced, tmp_path)["spark.driver.extraJavaOptions"]
    spaced.rename(jars)
    assert "SharedArchiveFile" in spark_settings(jars, tmp_path)["spark.driver.extraJavaOptions"]
    assert "SharedArchiveFile" not in spark_settings(jars, tmp_path)["spark.executor.extraJavaOptions"]
