"""What tables held at a time, and what changed between captures."""
