"""A few frames of each shot of the sample clips: cutting and restoring all of them takes most of a minute."""

from dataclasses import replace

from videxp.data import SampleClips
from videxp.data.layouts import sample_clips

FRAMES = 16
sample_clips.SHOTS = tuple(
    replace(shot, end=shot.start + FRAMES) for shot in sample_clips.SHOTS if shot.name != "bunny"
)


class ShortClips(SampleClips):
    """Where a config names it, the frames are few."""
