"""Simulated game feeds in the shape of the live game feed, so that a clone works without captures."""

from mlb_platform.simulator.captures import (
    SimulatedCapture,
    live_capture,
    preview_capture,
    simulate_games,
    write_captures_folder,
)
from mlb_platform.simulator.corrections import later_capture

__all__ = [
    "SimulatedCapture",
    "later_capture",
    "live_capture",
    "preview_capture",
    "simulate_games",
    "write_captures_folder",
]
