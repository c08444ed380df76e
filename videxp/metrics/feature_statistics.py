"""What is kept of a set of clips: the moments of all its features, and evenly spread features themselves.

Memory depends on D and `keep`, not on the number of clips. Legend: N clips, D features.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

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
        self._kept: dict[int, Tensor] = {}

    @property
    def count(self) -> int:
        """Features so far: clips, or frames where the network looks at single frames."""
        return 0 if self.moments is None else self.moments.count

    @property
    def kept_ND(self) -> Tensor:
        """float32, in the order of the indices."""
        return torch.stack([self._kept[row] for row in sorted(self._kept)])

    def update(self, features_ND: Tensor, index_N: Tensor) -> None:
        """features_ND: one row for each clip of index_N (int64), or several, adjacent (one for each frame)."""
        batch = Moments.of(features_ND)
        self.moments = batch if self.moments is None else self.moments.merged(batch)
        per_clip = len(features_ND) // len(index_N)
        row_N = (index_N.cpu()[:, None] * per_clip + torch.arange(per_clip)).flatten()
        chosen_N = row_N * self.keep % (self.clips * per_clip) < self.keep
        kept_ND = features_ND.detach().cpu().float()[chosen_N]
        self._kept |= {int(row): feature.clone() for row, feature in zip(row_N[chosen_N], kept_ND)}

    def over_ranks(self) -> "FeatureStatistics":
        """Those of all ranks together, the same on every rank; every rank must call it. Itself where there is one."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self
        parts: list[FeatureStatistics] = [self] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, self)
        return merged(parts)

    def tensors(self) -> dict[str, Tensor]:
        """What a file of them holds; `from_tensors` reads it."""
        assert self.moments is not None, "no clip was seen"
        rows = torch.tensor(sorted(self._kept))
        sizes = torch.tensor([self.clips, self.keep, self.moments.count])
        return {
            "sizes": sizes,
            "mean": self.moments.mean_D,
            "scatter": self.moments.scatter_DD,
            "rows": rows,
            "kept": self.kept_ND,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "FeatureStatistics":
        clips, keep, count = tensors["sizes"].tolist()
        statistics = cls(clips=clips, keep=keep)
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
        result._kept |= part._kept
    return result


def statistics_of(
    batches: Iterable[Tensor], network: FeatureNetwork, *, protocol: GenerationProtocol, keep: int = 2048
) -> FeatureStatistics:
    """Of the first `protocol.num_clips` clips of batches [N,T,C,H,W], uint8 or float in [0,1], on one process."""
    statistics = FeatureStatistics(clips=protocol.num_clips, keep=keep)
    start = 0
    for video_NTCHW in batches:
        video = video_NTCHW[: protocol.num_clips - start]
        statistics.update(network(protocol.prepared(video)), torch.arange(start, start + len(video)))
        start += len(video)
        if start == protocol.num_clips:
            break
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

    data: the data set's fingerprint, and the split. The network counts by the hash of its weights and by its input. A
    file that is damaged or another key's is computed anew; what is in it is never run.
    """
    key = json.dumps({"data": data, "protocol": repr(protocol), "network": f"{network.weights} {network}"})
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
    found = _read(path, key)
    if found is not None:
        return found
    statistics = compute()
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file(statistics.tensors(), temporary, metadata={"key": key})
    return statistics


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
