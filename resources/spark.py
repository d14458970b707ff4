"""Spark sessions with our settings: local jars, UTC, quiet. Started once a process, never at import."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from resources.errors import PlatformError
from resources.local_cluster import PREFIX, use_local_cluster

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PACKAGES = ("io.delta:delta-spark_4.1_2.13:4.4.0", "org.postgresql:postgresql:42.7.8")
"""Maven coordinates that Spark needs besides itself; `jars.lock` holds the files they resolve to, with hashes."""
LOCK_FILE = Path(__file__).with_name("jars.lock")
JAVA_VERSIONS = (17, 21)


class SparkError(PlatformError):
    """Spark cannot be started or reached."""


def locked_jars() -> dict[str, str]:
    """Return SHA-256 by file name of every jar Spark needs, from `jars.lock`."""
    pairs = (line.split() for line in LOCK_FILE.read_text().splitlines() if line and not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def missing_jars(folder: Path) -> list[str]:
    """Return the names of locked jars that `folder` lacks or holds with other content."""
    return [
        name
        for name, digest in locked_jars().items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def jar_paths(folder: Path) -> list[str]:
    """Return the paths of the jars; raise SparkError when some are not there."""
    names = list(locked_jars())
    absent = [n for n in names if not (folder / n).is_file()]
    if absent:
        raise SparkError(f"{folder} lacks {len(absent)} of {len(names)} Spark jars ({absent[0]}, …): run `make setup`")
    return [str(folder / n) for n in names]


def check_java() -> int:
    """Return the major version of the Java that Spark would use; raise SparkError when it is missing or unfit."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    install = "install it with `sudo apt-get install openjdk-17-jre-headless` (or `brew install openjdk@17`)"
    if program is None:
        where = f"JAVA_HOME={home} holds no bin/java" if home else "no `java` on PATH"
        raise SparkError(f"Java is missing ({where}): Spark needs Java 17 or 21; {install}")
    version = _java_version(program, Path(program).stat().st_mtime_ns)
    if version not in JAVA_VERSIONS:
        raise SparkError(
            f"{program} is Java {version or 'of an unknown version'}: Spark needs Java 17 or 21; {install}"
        )
    return version


@cache  # asking takes a start of the JVM, a tenth of a second
def _java_version(program: str, changed_at: int) -> int:
    """Return the major version of a `java`, 0 where it does not say; `changed_at` tells another one from it."""
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', told.stderr + told.stdout)
    return int(match[1]) if match else 0


def install_jars(folder: Path, ivy: Path) -> list[str]:
    """Fetch the jars that `folder` lacks through Spark's own resolver and check their hashes; return their names.

    `ivy` is a folder for the resolver's cache. Raises SparkError when a jar cannot be fetched or differs from the lock.
    """
    absent = missing_jars(folder)
    if not absent:
        return []
    check_java()
    folder.mkdir(parents=True, exist_ok=True)
    import pyspark

    home = Path(pyspark.__file__).parent
    # a class that does not exist: dependencies are resolved first, then the start fails, which is all that is needed
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--packages", ",".join(PACKAGES)]
    command += ["--conf", f"spark.jars.ivy={ivy}", "--class", "resolve.only", "spark-internal"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "SPARK_HOME": str(home)}
    )
    for name in absent:
        fetched = ivy / "jars" / name
        if not fetched.is_file():
            reason = next((line.strip() for line in done.stderr.splitlines() if "unresolved" in line.lower()), "")
            raise SparkError(f"Spark jar {name} could not be fetched from Maven Central {reason}: is it reachable?")
        shutil.copyfile(fetched, folder / name)
    wrong = missing_jars(folder)
    if wrong:
        raise SparkError(f"Spark jar {folder / wrong[0]} differs from the hash in jars.lock: delete it and run again")
    return absent


def class_archive(jars: Path) -> Path | None:
    """Return where the classes are kept that Spark's JVM loads at its start; `spark_archive` makes the file.

    None where the JVM could not be told of it: its options are parted at spaces.
    """
    archive = jars / f"spark-{version('pyspark')}.jsa"
    return None if re.search(r"[\s\"'\\]", str(archive)) else archive


def _shared_classes(jars: Path) -> str:
    """Return the options by which the JVM takes classes from the archive, where there is one."""
    archive = class_archive(jars)
    if archive is None or not archive.is_file():
        return ""
    return f" -XX:SharedArchiveFile={archive} -Xlog:cds=off -Xlog:cds+dynamic=off"


def spark_settings(
    jars: Path,
    work: Path,
    master: str = "local[*]",
    cores: int = 2,
    *,
    quick_start: bool = False,
    archive: bool = True,
) -> dict[str, str]:
    """Return the settings of a session: local `jars`, scratch under `work`, UTC, Delta, no UI, no progress bar.

    `quick_start` lets the JVM compile quickly rather than well: half the time for a short run, slower later where it is
    Spark that parses documents; where they are walked, compiling well never pays. On two
    cores the parallel collector takes a third less time than the default one, and no pauses that anyone would notice.
    `archive`: the driver's JVM takes its classes from the archive beside the jars, if there is one.
    """
    java = "-XX:+UseParallelGC" + (" -XX:TieredStopAtLevel=1" if quick_start else "")
    here = {
        "spark.sql.shuffle.partitions": str(max(2, cores)),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    return {
        **(here if master.startswith("local") else {}),  # workers on other machines have to reach the driver
        "spark.master": master,
        "spark.app.name": "mlb-data-platform",
        "spark.jars": ",".join(jar_paths(jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(work / "warehouse"),
        "spark.local.dir": str(work / "spark"),
        "spark.driver.memory": "4g",
        "spark.driver.extraJavaOptions": java + (_shared_classes(jars) if archive else ""),
        "spark.executor.extraJavaOptions": java,
        "spark.driver.maxResultSize": "0",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }


def jvm_has_ended() -> bool:
    """Return whether the JVM that this process started is gone: then no session of it will answer again."""
    from pyspark import SparkContext

    process = getattr(SparkContext._gateway, "proc", None)
    return process is not None and process.poll() is not None


def _probe(remote: str) -> None:
    """Raise SparkError when nobody listens at a Spark Connect address: a client would hang for minutes."""
    parsed = urlparse(remote)
    host, port = parsed.hostname or "localhost", parsed.port or 15002
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        raise SparkError(
            f"no Spark Connect server answers at {host}:{port} (MLB_SPARK_REMOTE): start it, or unset it"
        ) from error


def open_session(settings: Mapping[str, str], remote: str | None = None) -> SparkSession:
    """Return the process's session, started with `settings` if there is none; `remote` is a Spark Connect URL."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # the JVM that only puts together the command line of Spark's: it is over before compiling well or collecting pays
    os.environ.setdefault("SPARK_LAUNCHER_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    if remote:
        _probe(remote)
        return SparkSession.builder.remote(remote).getOrCreate()
    check_java()
    if settings.get("spark.master", "").startswith(PREFIX):
        use_local_cluster(Path(settings["spark.local.dir"]))
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
