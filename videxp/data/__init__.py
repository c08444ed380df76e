"""Data sets: where the files of one lie (layouts), what is in them (manifest), and clips and batches of them (module).

Public: `VideoDataModule` for training, and its parts `Clips`, `Decoding`, `Loading`, `Preparing`; `prepare` and
`Manifest` to look at a data set without torch; one layout per way of arranging files on disk. `preparation` reads every
file once; training meets no file that nobody has opened.
"""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "VideoDataModule": "videxp.data.module",
        "Clips": "videxp.data.loading.clips",
        "Decoding": "videxp.data.loading.decoding",
        "Loading": "videxp.data.loading.loading",
        "Preparing": "videxp.data.preparing.options",
        "ClipDataset": "videxp.data.loading.dataset",
        "collate": "videxp.data.loading.dataset",
        "EpochBatches": "videxp.data.loading.sampler",
        "EvaluationBatches": "videxp.data.loading.sampler",
        "Manifest": "videxp.data.manifest",
        "prepare": "videxp.data.preparing.preparation",
        "manifest_path": "videxp.data.preparing.preparation",
        "MovingDigits": "videxp.data.layouts.moving_digits",
        "FolderPerClass": "videxp.data.layouts.base",
        "ManifestFile": "videxp.data.layouts.manifest_file",
        "UCF101": "videxp.data.layouts.published",
        "HMDB51": "videxp.data.layouts.published",
        "Kinetics": "videxp.data.layouts.published",
        "SomethingSomethingV2": "videxp.data.layouts.published",
        "FrameFolders": "videxp.data.layouts.frame_folders",
        "VideoLists": "videxp.data.layouts.video_lists",
        "VideoFolder": "videxp.data.layouts.footage",
        "FrameSequences": "videxp.data.layouts.footage",
        "InpaintingSet": "videxp.data.layouts.published_footage",
        "Reds": "videxp.data.layouts.published_footage",
        "FiveK": "videxp.data.layouts.fivek",
        "Vimeo90k": "videxp.data.layouts.published_footage",
        "FilmsWithCuts": "videxp.data.layouts.films_with_cuts",
        "ClipShots": "videxp.data.layouts.films_with_cuts",
        "SHOT": "videxp.data.layouts.films_with_cuts",
        "BBC": "videxp.data.layouts.films_with_cuts",
        "RAI": "videxp.data.layouts.films_with_cuts",
        "SampleClips": "videxp.data.layouts.sample_clips",
    },
)
