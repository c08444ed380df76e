"""Networks, one file per family, whose header names the paper. Names are the field's, one YAML each under conf/model/.

Each is made with the published number of parameters unless told otherwise; most take `weights` (path or URL, by name).

Classifiers: normalised video [B,T,C,H,W] -> logits [B,num_classes]. They take `num_classes` and declare the clips they
accept.

Restorers: video [B,T,C,h,w] in [0,1] -> [B,T,C,scale*h,scale*w], for any T, h and w of at least 1. They have `scale`
(1: denoising and the like) and `radius`: how many frames to either side an output depends on; None: all of the clip.
What estimates optical flow lies under their attribute `flow` (None: nothing does), so that it can have a learning rate
of its own. `forward_with_intermediates`, where there is one, also returns the frames that have losses of their own;
`intermediates` are their names, `intermediate_targets(video, target)` what they should be like.

GANs: a generator and its discriminators in one container, see `videxp.models.gan`.
"""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "r3d_18": "videxp.models.classification.torchvision_video",
        "mc3_18": "videxp.models.classification.torchvision_video",
        "r2plus1d_18": "videxp.models.classification.torchvision_video",
        "s3d": "videxp.models.classification.torchvision_video",
        "mvit_v1_b": "videxp.models.classification.torchvision_video",
        "mvit_v2_s": "videxp.models.classification.torchvision_video",
        "swin3d_t": "videxp.models.classification.torchvision_video",
        "swin3d_s": "videxp.models.classification.torchvision_video",
        "swin3d_b": "videxp.models.classification.torchvision_video",
        "x3d_xs": "videxp.models.classification.x3d",
        "x3d_s": "videxp.models.classification.x3d",
        "x3d_m": "videxp.models.classification.x3d",
        "x3d_l": "videxp.models.classification.x3d",
        "slowfast_r50_4x16": "videxp.models.classification.slowfast",
        "slowfast_r50_8x8": "videxp.models.classification.slowfast",
        "slow_r50_8x8": "videxp.models.classification.slowfast",
        "tsn_r50": "videxp.models.classification.tsn",
        "tsm_r50": "videxp.models.classification.tsn",
        "tsn_timm": "videxp.models.classification.timm_backbones",
        "tsm_timm": "videxp.models.classification.timm_backbones",
        "uniformer_s": "videxp.models.classification.uniformer",
        "c3d": "videxp.models.classification.vgg3d",
        "i3d_r50": "videxp.models.classification.i3d",
        "convlstm": "videxp.models.classification.recurrent",
        "lrcn": "videxp.models.classification.frame_lstm",
        "videomae_b": "videxp.models.classification.huggingface",
        "timesformer_b": "videxp.models.classification.huggingface",
        "vjepa2_l": "videxp.models.classification.huggingface",
        "vivit_b": "videxp.models.classification.vivit",
        "SmallCNN3D": "videxp.models.classification.small",
        "FrameCNN": "videxp.models.classification.small",
        "Bicubic": "videxp.models.restoration.bicubic",
        "SRResNet": "videxp.models.restoration.srresnet",
        "SPyNet": "videxp.models.restoration.spynet",
        "EDVR": "videxp.models.restoration.edvr",
        "TDAN": "videxp.models.restoration.tdan",
        "BasicVSR": "videxp.models.restoration.basicvsr",
        "IconVSR": "videxp.models.restoration.iconvsr",
        "BasicVSRPlusPlus": "videxp.models.restoration.basicvsr_pp",
        "VGAN": "videxp.models.generation.vgan",
        "MoCoGAN": "videxp.models.generation.mocogan",
        "TGANv2": "videxp.models.generation.tganv2",
        "ContinuousGAN": "videxp.models.generation.continuous_gan",
        "VideoGAN": "videxp.models.gan",
        "VideoGenerator": "videxp.models.gan",
        "Discriminator": "videxp.models.gan",
        "View": "videxp.models.gan",
        "count_parameters": "videxp.models.summary",
        "gmacs": "videxp.models.summary",
        "load_weights": "videxp.models.weights",
    },
)
