"""How workers decode a video, and the size they bring its pictures to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge

if TYPE_CHECKING:  # which imports the decoders
    from videxp.video import Decoder
    from videxp.video.placing import Fit

Scaler = Literal["torch", "ffmpeg"]


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How workers decode a video, and the size they bring its pictures to: `dataset.decoding`.

    Raises BadRequest for a frame_size that is no [height, width], and for a scaler that has none, or another decoder.
    """

    decoder: "Decoder" = "auto"
    """auto: a file's packets by the table that preparing made, through PyAV."""
    allow_unsafe_decoder: bool = False
    """Use a decoder of one's own choice also for files in which it was seen to give wrong frames."""
    frame_size: Sequence[Annotated[int, Ge(1)]] | None = None
    """[height, width] that workers bring whole frames to before all else; None: as they are."""
    frame_fit: "Fit" = "crop"
    """What is done with frames of another shape than frame_size."""
    frame_scaler: Scaler = "torch"
    """torch: bilinear, antialiased, of RGB. ffmpeg: bicubic, while it decodes, as `ffmpeg -s WxH` does; faster where
    frames get much smaller."""

    def __post_init__(self) -> None:
        if (size := self.frame_size) is not None and (len(size) != 2 or min(size) < 1):
            raise BadRequest(f"dataset.decoding.frame_size={list(size)}: must be [height, width] in pixels, or null")
        if self.frame_scaler == "ffmpeg" and size is None:
            raise BadRequest(
                "dataset.decoding.frame_scaler=ffmpeg: set dataset.decoding.frame_size to scale to, or "
                "dataset.decoding.frame_scaler=torch"
            )
        if self.frame_scaler == "ffmpeg" and self.decoder in ("decord", "torchcodec"):
            raise BadRequest(
                f"dataset.decoding.frame_scaler=ffmpeg: {self.decoder} scales otherwise: "
                "use dataset.decoding.decoder=auto, or dataset.decoding.frame_scaler=torch"
            )

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the frames that workers hand on; None: as in the file."""
        return None if self.frame_size is None else (int(self.frame_size[0]), int(self.frame_size[1]))
