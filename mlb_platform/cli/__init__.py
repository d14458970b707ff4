"""The command line `mlb`. Modules import what they need inside the commands, so that help answers at once."""
