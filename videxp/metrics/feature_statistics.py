"""What is kept of a set of clips: the moments of all its features, and evenly spread features themselves.

Memory depends on D and `keep`, not on the number of clips. Legend: N clips, D features.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from videxp.errors import BadRequest
from videxp.files import replacing
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


def cached_statistics(
    folder: Path,
    *,
    data: str,
    protocol: GenerationProtocol,
    network: FeatureNetwork,
    compute: Callable[[], FeatureStatistics],
) -> FeatureStatistics:
    """Those of real data, computed once for each (data, protocol, network) and kept in `folder`.

    data: all else that `compute` depends on: the data set's fingerprint, split, size, crop, sampling, `keep`. The
    network counts by the hash of its weights and by its input. A file that is damaged or another key's is computed
    anew; what is in it is never run. Where there are several ranks, each must call it, and `compute` must give all the
    same (`over_ranks`): rank 0 reads and writes.
    """
    key = json.dumps({"data": data, "protocol": repr(protocol), "network": f"{network.weights} {network}"})
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
    found = [_read(path, key) if _rank() == 0 else None]
    if _distributed():  # a file that only some ranks find would leave the others waiting in `compute`
        torch.distributed.broadcast_object_list(found, src=0)
    if found[0] is not None:
        return found[0]
    statistics = compute()
    if _rank() == 0:
        _write(statistics, path, key)
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
            return FeatureStatistics.from_tensors({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        log.warning("%s: damaged (%s): the statistics are computed anew", path, type(error).__name__)
        return None
