"""A prepared data set and what its files decide: the first half of `VideoDataModule`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import LightningDataModule, Trainer

from videxp.core.errors import BadRequest
from videxp.data.layouts.base import Layout
from videxp.data.loading.quarantine import Quarantine
from videxp.data.manifest import Manifest, Part, Split
from videxp.data.preparing.preparation import absolute, manifest_path, prepare


class PreparedDataModule(LightningDataModule):
    """A data set beneath `root`: prepared, and what the files decide, known after `prepare()` or `setup()`."""

    def __init__(
        self,
        *,
        name: str,
        root: str,
        layout: Layout,
        max_unreadable: int,
        allow_copies: bool,
        timeout_seconds: float,
        cache_dir: str,
    ) -> None:
        super().__init__()
        self.name: str = name
        self.root = absolute(root)
        self.layout = layout
        self.max_unreadable = max_unreadable
        self.allow_copies = allow_copies
        self.timeout_seconds = timeout_seconds
        self.cache_dir = Path(cache_dir)
        self.quarantine = Quarantine(limit=max_unreadable, timeout_seconds=timeout_seconds)
        self._manifest: Manifest | None = None
        self.tested: Part = "test"
        """Part of the data set that the test reads, and that its figures are called after."""

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
    def several_labels(self) -> bool:
        """Whether a sample may have more labels than one, or none."""
        return self.manifest.several_labels

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
                allow_copies=self.allow_copies,
            )
        )

    def prepare_data(self) -> None:
        """Lightning's hook, called in one process of each node."""
        if self._manifest is None:
            self.prepare()

    def use(self, manifest: Manifest) -> None:
        """Take the samples from this manifest."""
        self._manifest = manifest


def datamodule_of(trainer: Trainer) -> Any:
    """None where the trainer was given loaders."""
    return cast(Any, trainer).datamodule
