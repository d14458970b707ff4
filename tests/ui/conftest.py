"""The Dagster UI over simulated games, and a headless Chromium to look at it with."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mlb_platform.dagster_home import merged_environment, prepare_dagster_home, ui_commands
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from mlb_platform.simulator import SimulatedCapture, simulate_games, write_captures_folder
from resources.embedded_postgres import EmbeddedPostgres
from resources.server_settings import free_port
from resources.spark import install_jars

FIRST = date(2024, 7, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-domain-reliability",
]  # fmt: skip
LOCATIONS = """{workspaceOrError {... on Workspace {locationEntries {loadStatus locationOrLoadError {
    __typename ... on RepositoryLocation {repositories {assetNodes {id}}}}}}}}"""


@dataclass(frozen=True)
class Ui:
    """A running UI, and the platform it works on."""

    url: str
    platform: Platform

    def ask(self, query: str) -> Any:
        """Return the answer to a GraphQL query."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def statuses(self) -> list[str]:
        """Return the status of every run, newest first."""
        runs = self.ask("{runsOrError {... on Runs {results {status}}}}")["runsOrError"]["results"]
        return [run["status"] for run in runs]

    def runs(self) -> list[dict[str, Any]]:
        """Return status and partition of every run, newest first."""
        answer = self.ask("{runsOrError {... on Runs {results {status tags {key value}}}}}")
        return [
            {
                "status": run["status"],
                "partition": next((t["value"] for t in run["tags"] if t["key"] == "dagster/partition"), None),
            }
            for run in answer["runsOrError"]["results"]
        ]

    def start_sensor(self, sensor: str, cursor: str) -> None:
        """Set a sensor's cursor and turn it on, as the dialog and the switch on its page do."""
        selector = _selector(sensor)
        for call in (
            f"setSensorCursor(sensorSelector: {selector}, cursor: {json.dumps(cursor)})",
            f"startSensor(sensorSelector: {selector})",
        ):
            (answer,) = self.ask(f"mutation {{{call} {{__typename}}}}").values()
            assert answer["__typename"] == "Sensor", answer

    def try_sensor(self, sensor: str) -> tuple[list[str], str]:
        """Evaluate a sensor from where it is, as its button Test does; return the dates it asks for and its cursor."""
        found = self.ask(
            f"{{sensorOrError(sensorSelector: {_selector(sensor)}) {{... on Sensor {{sensorState "
            "{typeSpecificData {... on SensorData {lastCursor}}}}}}"
        )
        cursor = (found["sensorOrError"]["sensorState"]["typeSpecificData"] or {}).get("lastCursor")
        answer = self.ask(
            f"mutation {{sensorDryRun(selectorData: {_selector(sensor)}, cursor: {json.dumps(cursor)}) "
            "{__typename ... on DryRunInstigationTick "
            "{evaluationResult {cursor error {message} runRequests {tags {key value}}}}}}"
        )
        evaluated = answer["sensorDryRun"]["evaluationResult"]
        assert evaluated["error"] is None, evaluated
        tags = [t for request in evaluated["runRequests"] for t in request["tags"]]
        return [t["value"] for t in tags if t["key"] == "dagster/partition"], evaluated["cursor"]

    def wait_for_runs(self, number: int, seconds: float = 420) -> None:
        """Wait until so many runs have succeeded; fail as soon as one does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.statuses()
            assert not {"FAILURE", "CANCELED"} & set(found), found
            if found.count("SUCCESS") >= number:
                return
            time.sleep(1)
        raise AssertionError(f"after {seconds} s the runs are {self.statuses()}")


def _selector(sensor: str) -> str:
    return f'{{repositoryLocationName: "mlb_platform", repositoryName: "__repository__", sensorName: "{sensor}"}}'


def chromium() -> str:
    """Return the program; where there is none the tests are skipped, but fail under CI."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found:
            return found
    reason = "no Chromium here (apt-get install chromium)"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}, and CI needs one")
    pytest.skip(reason)


def broken(capture: SimulatedCapture) -> SimulatedCapture:
    """A later capture of the game in which a batter's id is negative: an error rule holds it back."""
    payload = orjson.loads(orjson.dumps(capture.payload))
    payload["liveData"]["plays"]["allPlays"][3]["matchup"]["batter"]["id"] = -5
    return dataclasses.replace(capture, payload=payload, captured_at=capture.captured_at + timedelta(hours=2))


def wait_until_loaded(ui: Ui, processes: list[subprocess.Popen[bytes]], seconds: float = 180) -> None:
    """Wait until the pages answer and the definitions are there."""
    deadline, told = time.monotonic() + seconds, "no answer"
    while time.monotonic() < deadline:
        ended = [p.args for p in processes if p.poll() is not None]
        assert not ended, f"{ended[0]} ended by itself"
        try:
            entries = ui.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError as error:
            told = str(error)
        else:
            told = str(entries)
            if entries and entries[0]["locationOrLoadError"] and entries[0]["locationOrLoadError"].get("repositories"):
                return
        time.sleep(0.5)
    raise AssertionError(f"the UI did not come up: {told}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = chromium()
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def ui(browser: Browser) -> Iterator[Ui]:
    """The UI with its daemon over two games on each of three dates; the newest capture of one breaks an error rule."""
    jars = load_settings().jars
    install_jars(jars, jars.parent / "ivy")
    home = Path(tempfile.mkdtemp(prefix="mlb-ui-"))
    settings = Settings(home=home / "mlb")
    settings.home.mkdir()
    settings.jars.symlink_to(jars)
    platform = Platform(settings)
    games = list(simulate_games(45, FIRST, seed=3))
    chosen = [c for n, c in enumerate(games) if n % 15 < 2]
    chosen.append(broken(chosen[2]))
    write_captures_folder(chosen, home / "captures")
    ingest_folder(home / "captures", platform.raw, platform.quality, platform.registry.mappings)
    prepare_dagster_home(settings, platform.postgres)
    port = free_port(None)
    with (settings.logs / "dagster.log").open("wb") as log:
        processes = [
            subprocess.Popen(
                command, env=merged_environment(settings, os.environ), cwd=settings.dagster_home,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
            for command in ui_commands(settings, port)
        ]  # fmt: skip
    try:
        found = Ui(f"http://127.0.0.1:{port}", platform)
        wait_until_loaded(found, processes)
        yield found
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        platform.postgres.close()
        EmbeddedPostgres(settings.postgres_dir, settings.logs).stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page; what it showed last is kept as a picture in MLB_SCREENSHOTS, or in a temporary folder."""
    opened = browser.new_page(viewport={"width": 1500, "height": 1100})
    opened.set_default_timeout(60_000)
    yield opened
    folder = os.environ.get("MLB_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots")
    Path(folder).mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=Path(folder) / f"{request.node.name}.png")
    opened.close()
