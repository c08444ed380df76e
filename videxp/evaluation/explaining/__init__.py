"""Explanations of one answer: maps over space and time, what is removed from a clip, and how faithful a map is."""
