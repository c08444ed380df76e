"""Networks that make clips."""
