"""What should be there by the schedule, what is, and why not: by date, game and endpoint."""
