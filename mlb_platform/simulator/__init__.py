"""Simulated responses in the shape of the Stats API, so that a clone works without captures."""

from mlb_platform.simulator.captures import SimulatedCapture, live_capture, preview_capture, simulate_games
from mlb_platform.simulator.corrections import later_capture
from mlb_platform.simulator.folder import write_captures_folder, write_responses_folder
from mlb_platform.simulator.postseason import Postseason
from mlb_platform.simulator.response import SimulatedResponse
from mlb_platform.simulator.sample import feeds, responses

__all__ = [
    "Postseason",
    "SimulatedCapture",
    "SimulatedResponse",
    "feeds",
    "later_capture",
    "live_capture",
    "preview_capture",
    "responses",
    "simulate_games",
    "write_captures_folder",
    "write_responses_folder",
]
