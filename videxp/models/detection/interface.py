"""What networks that find boxes are called with and what they answer: torchvision's convention, on clips.

Legend: B clips, T frames of a clip, M true boxes of all clips, D detected boxes of a clip (padded), K classes, A places
(anchors) of a dense network.
"""

from typing import NamedTuple, Protocol

from torch import Tensor


class DetectedBoxes(NamedTuple):
    """Boxes of the key frame of each clip."""

    xyxy: Tensor
    """float [B,D,4], pixels of the clip"""
    scores: Tensor
    """float [B,D,K], probability of each class, that there is a thing at all included; a row of zeros is padding."""


class BoxTargets(NamedTuple):
    """True boxes of the key frames of B clips, of each clip any number."""

    xyxy: Tensor
    """float [M,4], pixels of the clip"""
    classes: Tensor
    """float [M,K], 1 for each class that the box belongs to, else 0"""
    clip: Tensor
    """int64 [M], from 0 to B - 1, ascending"""


class DenseAnswer(NamedTuple):
    """One candidate for each of A places of the key frame, those of all strides one after another: what
    `videxp.models.detection.dense_loss.dense_detection_loss` takes."""

    xyxy: Tensor
    """float [B,A,4], pixels of the clip"""
    objectness: Tensor
    """float [B,A], logits"""
    classes: Tensor
    """float [B,A,K], logits"""
    centers: Tensor
    """float [A,2], x and y in pixels of the clip of each place"""
    strides: Tensor
    """float [A], pixels between neighboring places of its feature map"""

    def detected(self) -> DetectedBoxes:
        """All of them, D = A. A class's score is the square root of both probabilities' product, as of YOWOv2."""
        product_BAK = self.classes.sigmoid() * self.objectness.sigmoid()[..., None]
        return DetectedBoxes(self.xyxy, product_BAK.sqrt())


class DetectionNetwork(Protocol):
    """Finds the boxes of one frame of a clip, its key frame.

    A class that comes with videxp says that it is one: `network_parameter: ClassVar[str] = "clip_frames"`.
    """

    clip_frames: int
    """T that it sees for one answer; 1: a detector of single frames"""
    key_frame: int
    """Which frame of the clip it answers for: YOWO's is the last, T - 1"""
    num_classes: int
    """K"""

    def __call__(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes | dict[str, Tensor]:
        """video float [B,T,3,H,W] in [0,1], which the network normalizes itself.

        With `targets` its losses, scalars, of which the sum is trained on, by name: of `objectness`, `class` and `box`
        those that it has. Without them its boxes before suppression of those that overlap (a torchvision detector's:
        after).
        """
