"""The Stats API, simulated over real HTTP: games go on pitch by pitch in a time of its own, and it can misbehave."""

from mlb_platform.simulator.api.options import Faults, ServeOptions
from mlb_platform.simulator.api.serve import Serving, serving

__all__ = ["Faults", "ServeOptions", "Serving", "serving"]
