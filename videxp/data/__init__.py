"""Data sets: where the files of one lie (layouts), what is in them (manifest), and clips and batches of them (module).

Public: `VideoDataModule` for training; `prepare` and `Manifest` to look at a data set without torch; one layout per way
of arranging files on disk. `preparation` reads every file once; training meets no file that nobody has opened.
"""

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "VideoDataModule": "videxp.data.module",
        "ClipDataset": "videxp.data.dataset",
        "collate": "videxp.data.dataset",
        "EpochBatches": "videxp.data.sampler",
        "EvaluationBatches": "videxp.data.sampler",
        "Manifest": "videxp.data.manifest",
        "prepare": "videxp.data.preparation",
        "manifest_path": "videxp.data.preparation",
        "MovingDigits": "videxp.data.moving_digits",
        "FolderPerClass": "videxp.data.layouts",
        "ManifestFile": "videxp.data.manifest_file",
        "UCF101": "videxp.data.published",
        "HMDB51": "videxp.data.published",
        "Kinetics": "videxp.data.published",
        "SomethingSomethingV2": "videxp.data.published",
        "FrameFolders": "videxp.data.frame_folders",
        "VideoLists": "videxp.data.video_lists",
        "VideoFolder": "videxp.data.footage",
        "FrameSequences": "videxp.data.footage",
        "Reds": "videxp.data.published_footage",
        "Vimeo90k": "videxp.data.published_footage",
        "SampleClips": "videxp.data.sample_clips",
    },
)
