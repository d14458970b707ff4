"""A captures folder of simulated responses: gzipped JSON by endpoint and method, and the INDEX.tsv that names them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import orjson

from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.response import SimulatedResponse
from mlb_platform.simulator.sample import feeds, responses
from resources.errors import PlatformError

INDEX_COLUMNS = (
    "path", "endpoint", "method", "id", "captured_at", "captured_at_basis", "season", "game_type", "state", "plays",
    "bytes",
)  # fmt: skip
_LONGEST = 40
_SIMULATED = "_simulated.json.gz"
_CAPTURES = (".json", ".json.gz")


def empty_folder(folder: Path) -> None:
    """Make a folder to write into, without the simulated captures that are in it: the new INDEX.tsv will not name them.

    Raises PlatformError where it is a file, or has captures that are not simulated: their index would be lost.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise PlatformError(f"{folder} is a file: give a folder") from error
    files = (path for path in folder.rglob("*") if path.name.lower().endswith(_CAPTURES))
    other = next((path for path in files if not path.name.endswith(_SIMULATED)), None)
    if other is not None:
        raise PlatformError(
            f"{folder} has captures that are not simulated, such as {other.relative_to(folder)}: the INDEX.tsv written "
            "would not name them; give another folder"
        )
    (folder / "INDEX.tsv").unlink(missing_ok=True)
    for path in folder.glob(f"*/*/*{_SIMULATED}"):
        path.unlink()


def write_captures_folder(captures: Iterable[SimulatedCapture], folder: Path, *, every_endpoint: bool = False) -> int:
    """Write captured feeds with an INDEX.tsv (replacing both) and give how many files were written.

    `every_endpoint` adds what the other endpoints would have answered (`sample.responses`).
    """
    return write_responses_folder(responses(captures) if every_endpoint else feeds(captures), folder)


def write_responses_folder(found: Iterable[SimulatedResponse], folder: Path) -> int:
    """Write responses with an INDEX.tsv (replacing both, see `empty_folder`) and give how many were written."""
    empty_folder(folder)
    rows = ["\t".join(INDEX_COLUMNS)]
    made: set[str] = set()
    for response in found:
        rows.append("\t".join(write_response(response, folder, made)))
    (folder / "INDEX.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


def write_response(response: SimulatedResponse, folder: Path, made: set[str], level: int = 6) -> tuple[str, ...]:
    """Write one response under a name that is not in `made` (which gets it), and give its row of the index."""
    body = orjson.dumps(response.payload)
    path = _path(response, made)
    made.add(path)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(body, compresslevel=level, mtime=0))
    return _index_row(response, path, len(body))


def _path(response: SimulatedResponse, made: set[str]) -> str:
    """Give a name by id and time that none of those made has."""
    name = response.id
    if len(name) > _LONGEST:
        ids = name.split(",")
        name = f"{ids[0]}-{ids[-1]}_{len(ids)}"
    stem = f"{response.endpoint}/{response.method}/{name}_{response.captured_at:%Y%m%d_%H%M%S}"
    number, path = 1, f"{stem}{_SIMULATED}"
    while path in made:
        number += 1
        path = f"{stem}_{number}{_SIMULATED}"
    return path


def _index_row(response: SimulatedResponse, path: str, size: int) -> tuple[str, ...]:
    return (
        path,
        response.endpoint,
        response.method,
        response.id,
        f"{response.captured_at:%Y-%m-%dT%H:%M:%SZ}",
        response.basis,
        response.season,
        response.game_type,
        response.state,
        response.count,
        str(size),
    )
