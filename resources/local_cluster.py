"""A Spark cluster on this machine, its workers in processes of their own: `local-cluster[WORKERS,CORES,MEGABYTES]`."""

from __future__ import annotations

import os
from pathlib import Path

PREFIX = "local-cluster"


def use_local_cluster(work: Path) -> None:
    """Point Spark to its own package, through a folder under `work` that takes what the workers write.

    The workers look for Spark in SPARK_HOME and keep logs and jars there: the installed package stays as it is. A
    SPARK_HOME that is set already stays too.
    """
    root = str(Path(__file__).resolve().parents[1])  # workers in other processes import this package as we do
    paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([root, *paths]))
    if os.environ.get("SPARK_HOME"):
        return
    import pyspark

    home = work / "spark-home"
    home.mkdir(parents=True, exist_ok=True)
    for entry in Path(pyspark.__file__).parent.iterdir():
        link = home / entry.name
        if entry.name != "work" and not link.is_symlink():
            link.symlink_to(entry)
    os.environ["SPARK_HOME"] = str(home)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
