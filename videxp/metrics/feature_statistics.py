"""What is kept of a set of clips: the moments of all its features, and evenly spread features themselves.

Memory depends on D and `keep`, not on the number of clips. Legend: N clips, D features.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.core.randomness import Stream, generator
from videxp.metrics.features import FeatureNetwork
from videxp.metrics.frechet import Moments
from videxp.metrics.protocols import GenerationProtocol

log = logging.getLogger(__name__)


class FeatureStatistics:
    """Updated with batches, merged over ranks; which features are kept depends on the clips' indices alone.

    clips: how many there will be, with indices 0 ... clips - 1. keep: at most so many features (float32), spread evenly
    over the indices: of data sorted by class, every class has its share. They are for figures that need pairs.
    """

    def __init__(self, *, clips: int, keep: int = 2048) -> None:
        self.clips, self.keep = clips, keep
        self.moments: Moments | None = None
        self.clips_seen = 0
        self._kept: dict[int, Tensor] = {}

    @property
    def kept_ND(self) -> Tensor:
        """float32, in the order of the indices."""
        return torch.stack([self._kept[row] for row in sorted(self._kept)]) if self._kept else torch.zeros(0, 0)

    def update(self, features_ND: Tensor, index_N: Tensor) -> None:
        """features_ND: one row for each clip of index_N (int64), or several, adjacent (one for each frame)."""
        if len(index_N) == 0:
            return
        batch = Moments.of(features_ND)
        self.moments = batch if self.moments is None else self.moments.merged(batch)
        self.clips_seen += len(index_N)
        per_clip = len(features_ND) // len(index_N)
        row_N = (index_N.cpu()[:, None] * per_clip + torch.arange(per_clip)).flatten()
        chosen_N = evenly_spread(row_N, total=self.clips * per_clip, count=self.keep)
        kept_ND = features_ND.detach().cpu().float()[chosen_N]
        self._kept |= {int(row): feature.clone() for row, feature in zip(row_N[chosen_N], kept_ND)}

    def over_ranks(self) -> "FeatureStatistics":
        """Those of all ranks together, the same on every rank; every rank must call it. Itself where there is one."""
        if not _distributed():
            return self
        parts: list[FeatureStatistics] = [self] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, self)
        return merged(parts)

    def tensors(self) -> dict[str, Tensor]:
        """What a file of them holds; `from_tensors` reads it."""
        assert self.moments is not None, "no clip was seen"
        rows = torch.tensor(sorted(self._kept))
        sizes = torch.tensor([self.clips, self.keep, self.clips_seen, self.moments.count])
        return {
            "sizes": sizes,
            "mean": self.moments.mean_D,
            "scatter": self.moments.scatter_DD,
            "rows": rows,
            "kept": self.kept_ND,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "FeatureStatistics":
        clips, keep, clips_seen, count = tensors["sizes"].tolist()
        statistics = cls(clips=clips, keep=keep)
        statistics.clips_seen = clips_seen
        statistics.moments = Moments(count, tensors["mean"], tensors["scatter"])
        statistics._kept = dict(zip(tensors["rows"].tolist(), tensors["kept"]))
        return statistics


def merged(parts: Iterable[FeatureStatistics]) -> FeatureStatistics:
    """Of several sets of one sequence of indices."""
    first, *others = parts
    result = FeatureStatistics(clips=first.clips, keep=first.keep)
    for part in (first, *others):
        if part.moments is not None:
            result.moments = part.moments if result.moments is None else result.moments.merged(part.moments)
        result.clips_seen += part.clips_seen
        result._kept |= part._kept
    return result


def evenly_spread(index_N: Tensor, *, total: int, count: int) -> Tensor:
    """Which of indices 0 ... total - 1 belong to `count` evenly spread ones (all, if there are no more): bool [N].

    The first `count` of a data set that is sorted by class would be of a few classes. The k-th chosen index i has
    i * count // total = k.
    """
    return index_N * count % total < count


def in_first_half(place_N: Tensor, *, count: int) -> Tensor:
    """Which of the places 0 ... count - 1 are in the first of two halves, drawn at random, always the same: bool [N].

    Of an odd count the first half has one more. Halves by position would be of different classes in sorted data, and
    those by parity are one subject against another where clips come in pairs.
    """
    order = generator(0, stream=Stream.HALVES).permutation(count)
    return torch.from_numpy(order % 2 == 0)[place_N]


def chosen_clips(batches: Iterable[Tensor], *, total: int, protocol: GenerationProtocol) -> Iterator[Tensor]:
    """`protocol.num_clips` clips, evenly spread over the `total` that the batches [N,T,C,H,W] bring; all, if fewer.

    Prepared as the protocol says. Raises BadRequest where the batches end before `total`.
    """
    start = 0
    for batch_NTCHW in batches:
        video = batch_NTCHW[: total - start]
        index_N = torch.arange(start, start + len(video))
        wanted_N = evenly_spread(index_N, total=total, count=protocol.num_clips)
        if wanted_N.any():
            yield protocol.prepared(video[wanted_N.to(video.device)])
        start += len(video)
        if start == total:
            return
    raise BadRequest(f"{protocol.suffix}: {start} clips came, {total} were announced")


def statistics_of(
    batches: Iterable[Tensor], network: FeatureNetwork, *, total: int, protocol: GenerationProtocol, keep: int = 2048
) -> FeatureStatistics:
    """Of the `chosen_clips` of batches [N,T,C,H,W], uint8 or float in [0,1]; on one process."""
    statistics = FeatureStatistics(clips=min(total, protocol.num_clips), keep=keep)
    for video in chosen_clips(batches, total=total, protocol=protocol):
        start = statistics.clips_seen
        statistics.update(network(video), torch.arange(start, start + len(video)))
    return statistics


@dataclass(frozen=True)
class StatisticsFile:
    """Where those of real data are kept, computed once for each (data, protocol, network).

    data: all else that they depend on: the data set's fingerprint, split, size, crop, sampling, `keep`. The network
    counts by the hash of its weights and by its input. A file that is damaged or another key's counts as none; what is
    in it is never run. Every rank must call `read` and `write`; rank 0 does it.
    """

    folder: Path
    data: str
    protocol: GenerationProtocol
    network: FeatureNetwork

    @property
    def key(self) -> str:
        parts = {
            "data": self.data,
            "protocol": repr(self.protocol),
            "network": f"{self.network.weights} {self.network}",
        }
        return json.dumps(parts)

    @property
    def path(self) -> Path:
        return self.folder / f"{hashlib.sha256(self.key.encode()).hexdigest()[:24]}.safetensors"

    def read(self) -> FeatureStatistics | None:
        """None where there is no such file; the same on all ranks."""
        found = [_read(self.path, self.key) if _rank() == 0 else None]
        if _distributed():
            torch.distributed.broadcast_object_list(found, src=0)
        return found[0]

    def write(self, statistics: FeatureStatistics) -> None:
        """The same on all ranks (`over_ranks`)."""
        if _rank() == 0:
            _write(statistics, self.path, self.key)


def cached_statistics(file: StatisticsFile, *, compute: Callable[[], FeatureStatistics]) -> FeatureStatistics:
    """What the file holds, or what `compute` gives, which the file then holds."""
    statistics = file.read()
    if statistics is None:
        statistics = compute()
        file.write(statistics)
    return statistics


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _rank() -> int:
    return torch.distributed.get_rank() if _distributed() else 0


def _write(statistics: FeatureStatistics, path: Path, key: str) -> None:
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file(statistics.tensors(), temporary, metadata={"key": key})


def _read(path: Path, key: str) -> FeatureStatistics | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            names = file.keys()
            return FeatureStatistics.from_tensors({name: file.get_tensor(name) for name in names})
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        log.warning("%s: damaged (%s): the statistics are computed anew", path, type(error).__name__)
        return None
