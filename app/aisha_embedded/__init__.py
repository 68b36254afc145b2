"""Real services from wheels, started and supervised by `aisha run`."""
