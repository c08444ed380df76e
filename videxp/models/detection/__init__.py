"""Detectors of boxes on frames, and what links their boxes over time."""
