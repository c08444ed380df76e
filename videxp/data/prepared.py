"""A prepared data set and what its files decide: the first third of `VideoDataModule`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import LightningDataModule, Trainer

from videxp.core.errors import BadRequest, VidexpError
from videxp.data.layouts.base import FolderPerClass, Layout
from videxp.data.left_out import nothing_left
from videxp.data.loading.quarantine import Quarantine
from videxp.data.manifest import Manifest, Part, Split
from videxp.data.preparing.cache import from_cache
from videxp.data.preparing.options import Preparing
from videxp.data.preparing.preparation import absolute, check_unreadable, manifest_path, prepare
from videxp.video import is_remote


class PreparedDataModule(LightningDataModule):
    """A data set beneath `root`: prepared, and what the files decide, known after `prepare()` or `setup()`."""

    def __init__(
        self,
        *,
        root: str,
        name: str | None,
        layout: Layout | None,
        preparing: Preparing,
        max_unreadable: int,
        cache: str | None,
        timeout_seconds: float,
    ) -> None:
        super().__init__()
        self.root = absolute(root)
        self.name: str = name or self.root.name
        self.layout = layout or FolderPerClass()
        self.preparing = preparing
        self.max_unreadable = max_unreadable
        self.cache = cache if cache is None or is_remote(cache) else str(absolute(cache))
        self.timeout_seconds = timeout_seconds
        self.quarantine = Quarantine(limit=max_unreadable, timeout_seconds=timeout_seconds)
        self._manifest: Manifest | None = None
        self.tested: Part = "test"
        """Part of the data set that the test reads, and that its figures are called after."""
        self.seen: dict[Split, tuple[int, int]] = {}
        """Of the last evaluation of a split: (samples that it counted over all ranks, samples that the split has)."""

    @property
    def cache_dir(self) -> Path:
        """Folder of the manifests, and of what else is known of data sets."""
        return Path(self.preparing.cache_dir)

    @property
    def manifest(self) -> Manifest:
        if self._manifest is None:
            raise BadRequest(f"Data set {self.name} is not prepared yet: call prepare() or setup() first")
        return self._manifest

    @property
    def manifest_path(self) -> Path:
        return manifest_path(self.layout, root=self.root, cache_dir=self.cache_dir, name=self.name)

    @property
    def classes(self) -> list[str]:
        return self.manifest.classes

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the samples; of copies, also of how they were made: they are other pictures."""
        return self.manifest.fingerprint + (f" cache {self.manifest.cache}" if self.manifest.cache else "")

    @property
    def counts(self) -> dict[str, int]:
        """Videos per split."""
        return self.manifest.counts

    def test_on(self, part: Part, *, classes: list[str]) -> None:
        """Let the test read another part of the data set, as it reads its own split, and forget the rest.

        classes: those of the data set in the order in which the network numbers them.
        """
        self.tested = part
        self.use(replace(self.manifest.only(part), classes=classes))

    def part_of(self, stage: Split) -> Part:
        """Part of the data set that a stage reads: its own split, but for the test where `test_on` says otherwise."""
        return self.tested if stage == "test" else stage

    def coverage(self, split: Split) -> tuple[int, int]:
        """(samples of a split that can be read, samples that it has)."""
        paths = list(self.manifest["path"][self.manifest.is_in(self.part_of(split))])
        missing = self.missing
        return sum(path not in missing for path in paths), len(paths)

    @property
    def missing(self) -> dict[str, str]:
        """Path -> cause of each file that is left out: found so when preparing, and since."""
        return {**self.manifest.unreadable, **self.quarantine.causes}

    def prepare(self) -> None:
        """Read what is new under root. Needs no trainer; under DDP one process does it before the others start."""
        self.use(
            prepare(
                self.layout,
                root=self.root,
                cache_dir=self.cache_dir,
                name=self.name,
                max_unreadable=self.max_unreadable,
                allow_copies=self.preparing.allow_copies,
            )
        )

    def prepare_data(self) -> None:
        """Lightning's hook, called in one process of each node."""
        if self._manifest is None:
            self.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Every rank reads the manifest that prepare() left."""
        if self._manifest is None:
            manifest = Manifest.read(self.manifest_path)
            check_unreadable(manifest, max_unreadable=self.max_unreadable, path=self.manifest_path)
            self.use(manifest)

    def use(self, manifest: Manifest) -> None:
        """Take the samples from this manifest, and their clips from the copies where there is a cache."""
        if self.cache is not None:
            manifest = from_cache(manifest, self.cache, cache_dir=absolute(self.cache_dir))
        self._manifest = manifest
        self.quarantine.before = len(manifest.unreadable)

    def settle(self, split: Split, *, seen: int) -> None:
        """At the end of an evaluation, on all ranks: its files that failed are left out from now on.

        seen: samples that this rank evaluated. Raises VidexpError, naming files, where no rank has seen any.
        """
        self.quarantine.settle()
        (seen,) = self.quarantine.ranks.summed([seen])
        self.seen[split] = (seen, self.coverage(split)[1])
        if not seen:
            raise VidexpError(nothing_left(self.manifest, self.part_of(split), self.missing))


def datamodule_of(trainer: Trainer) -> Any:
    """None where the trainer was given loaders."""
    return cast(Any, trainer).datamodule
