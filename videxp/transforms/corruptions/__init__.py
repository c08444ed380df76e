"""Corruptions of finished clips: pure functions uint8 [T,H,W,C] -> uint8 [T,H,W,C], by the tables of the papers.

Read `tables.py` first: which corruptions there are, and their parameters at each severity. `corruption.py` says what
one is; what they do stands in `noise.py`, `blur.py`, `weather.py`, `color.py`, `codec.py`, `camera.py`, `temporal.py`.
"""
