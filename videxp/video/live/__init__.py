"""Video as it comes: files at their own pace, cameras, addresses of a network, stdin. Read by a process of its own."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "Capture": "videxp.video.live.capture",
        "CaptureOptions": "videxp.video.live.options",
        "LiveFrame": "videxp.video.live.capture",
        "LostSource": "videxp.video.live.capture",
        "LiveSource": "videxp.video.live.source",
        "read_source": "videxp.video.live.source",
    },
)
