"""All randomness of the data path: a pure function of (seed, epoch, sample index, stream).

Worker order, number of ranks and restarts therefore change nothing. Philox is counter-based, so a generator costs
microseconds to make and needs no state to be carried.
"""

from enum import IntEnum

import numpy as np

# Part of every run's provenance: raise it when the numbers drawn for the same seed change.
RANDOM_SCHEME = 1


class Stream(IntEnum):
    """One independent stream for each use, so that adding a use shifts no other."""

    ORDER = 0  # the order of samples in an epoch
    CLIP = 1  # which frames of a video
    AUGMENT = 2  # geometry and color on the device
    MIX = 3  # mixup and cutmix
    GENERATE = 4  # embedded data sets
    DEGRADE = 5  # degradations and corruptions
    CROP = 6  # where a clip is cut out in the worker
    NOISE = 7  # latent codes, and noise within networks, in training
    SAMPLE = 8  # latent codes of clips that are generated to be seen or measured
    OPERATIONS = 9  # RandAugment: which, and which way
    ERASE = 10  # random erasing
    RANK = 11  # what seeds torch's generators (dropout, drop path) of the processes after the first
    HALVES = 12  # which of the real clips are compared with the others
    JOIN = 13  # which shot follows another in training on scenes, and how
    CORRUPT = 14  # corruptions of finished clips: what a network is tested with, or trained against
    ATTACK = 15  # where an attack on a network begins, and the noise that it is compared with
    EXPLAIN = 16  # shuffled frames, random maps and re-drawn weights that explanations are compared with
    BOOTSTRAP = 17  # samples drawn anew: intervals of figures
    MOSAIC = 18  # which clips are parts of one, and where they meet


def generator(
    seed: int, *, stream: Stream, epoch: int = 0, index: int = 0, more: tuple[int, ...] = ()
) -> np.random.Generator:
    """The generator for one sample (or one epoch's order) of one stream; `more` tells uses of a sample apart.

    All numbers must be >= 0.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, int(stream), epoch, index, *more))))
