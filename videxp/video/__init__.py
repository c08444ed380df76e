"""Files and frames: probe, decoders, encoder, clip sampling. No ML; the only imports of av, decord and torchcodec."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "DecodeError": "videxp.video.errors",
        "DecoderRefused": "videxp.video.errors",
        "UnreadableVideo": "videxp.video.errors",
        "Probe": "videxp.video.probing",
        "probe": "videxp.video.probing",
        "Decoder": "videxp.video.decoder",
        "open_video": "videxp.video.decoder",
        "filesystem": "videxp.video.byte_file",
        "is_remote": "videxp.video.byte_file",
        "open_copy": "videxp.video.decoder",
        "VideoReader": "videxp.video.reader",
        "FrameFolderReader": "videxp.video.frame_folder",
        "write_video": "videxp.video.encoder",
        "compress": "videxp.video.encoder",
        "random_clip": "videxp.video.sampling",
        "random_clip_at_fps": "videxp.video.sampling",
        "clip_at_fps": "videxp.video.sampling",
        "uniform_segments": "videxp.video.sampling",
        "evenly_spaced_clips": "videxp.video.sampling",
        "evenly_spaced_clips_at_fps": "videxp.video.sampling",
        "frame_range": "videxp.video.sampling",
    },
)
