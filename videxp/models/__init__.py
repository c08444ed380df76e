"""Networks, one file per family, whose header names the paper. Names are the field's, one YAML each under conf/model/.

Each is made with the published number of parameters unless told otherwise; most take `weights` (path or URL, by name).

Classifiers: normalized video [B,T,C,H,W] -> logits [B,num_classes]. They take `num_classes` and declare the clips they
accept.

Restorers: video [B,T,C,h,w] in [0,1] -> [B,T,C,scale*h,scale*w], for any T, h and w of at least 1. They have `scale`
(1: denoising and the like) and `radius`: how many frames to either side an output depends on; None: all of the clip.
What estimates optical flow lies under their attribute `flow` (None: nothing does), so that it can have a learning rate
of its own. `forward_with_intermediates`, where there is one, also returns the frames that have losses of their own;
`intermediates` are their names, `intermediate_targets(video, target)` what they should be like.

Scene networks: video [B,T,3,H,W] in [0,1], not normalized -> logits of each frame (`TransitionLogits`), for any T; most
take frames of `frame_size` alone. They have `window_frames`: see `videxp.models.scenes.interface`.

GANs: a generator and its discriminators in one container, see `videxp.models.gan`.
"""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "VideoGAN": "videxp.models.gan",
        "VideoGenerator": "videxp.models.gan",
        "Discriminator": "videxp.models.gan",
        "DiscriminatorInput": "videxp.models.gan",
        "count_parameters": "videxp.models.summary",
        "gmacs": "videxp.models.summary",
        "load_weights": "videxp.models.weights",
    },
)
