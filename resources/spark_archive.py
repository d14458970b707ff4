"""The classes that Spark's JVM loads at its start, kept in an archive of Java's class-data sharing: it starts sooner.

The archive fits the Java and the Spark that made it; with any other the JVM leaves it alone, without a word.

    python -m resources.spark_archive JARS WORK FILE
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from resources.spark import SparkError, class_archive, open_session, spark_settings

if TYPE_CHECKING:
    import pyarrow as pa

_SECONDS = 300


def make_class_archive(jars: Path) -> Path:
    """Start Spark once, let its JVM leave the classes it loaded beside the `jars`, and return the archive.

    Raises SparkError, with the reason, where that fails: Spark starts without it too.
    """
    archive = class_archive(jars)
    if archive is None:
        raise SparkError(f"Spark's classes were not kept: no place with spaces or quotes can be told the JVM: {jars}")
    with tempfile.TemporaryDirectory(dir=jars, prefix="archive-") as work:
        made = Path(work) / archive.name
        command = [sys.executable, "-m", "resources.spark_archive", str(jars), work, str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise SparkError(f"Spark's classes were not kept: that took more than {_SECONDS} s") from error
        if not made.is_file():
            last = (done.stderr.strip().splitlines() or ["the JVM left no archive"])[-1]
            raise SparkError(f"Spark's classes were not kept: {last}")
        os.replace(made, archive)
    remove_other_archives(archive)
    return archive


def remove_other_archives(archive: Path) -> None:
    """Remove the archives beside one: those of the Spark that was there before."""
    for other in archive.parent.glob("spark-*.jsa"):
        if other != archive:
            other.unlink()


def main(jars: str, work: str, file: str) -> None:
    """Do what a first job does, and wait until the JVM has ended: it writes the archive last."""
    from pyspark import SparkContext

    settings = spark_settings(Path(jars), Path(work), "local[1]", quick_start=True, archive=False)
    settings["spark.driver.extraJavaOptions"] += f" -XX:ArchiveClassesAtExit={file}"
    spark = open_session(settings)
    walked = spark.range(2).mapInArrow(_as_they_are, "id BIGINT")
    walked.selectExpr("id", "from_json('{\"a\": [1]}', 'a ARRAY<INT>') AS document").toArrow()
    gateway = SparkContext._gateway
    spark.stop()
    assert gateway is not None
    process: subprocess.Popen[bytes] = gateway.proc
    gateway.shutdown()
    assert process.stdin is not None
    process.stdin.close()
    process.wait(_SECONDS)


def _as_they_are(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    main(*sys.argv[1:])
