"""H.264 as PyAV and FFmpeg make it where nobody says how."""

from io import BytesIO

import av
import numpy as np


def as_stock_encodes(frames: np.ndarray, *, rate: int = 25, **options: str) -> BytesIO:
    """uint8 [T,H,W,C] as a file. rate: frames per second. options: libx264's, of its quality."""
    file = BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for picture in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    file.seek(0)
    return file
