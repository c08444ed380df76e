"""Figures of a trained network: how accurate it is, and on what."""
