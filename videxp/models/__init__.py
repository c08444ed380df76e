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

from videxp.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "r3d_18": "videxp.models.torchvision_video",
        "mc3_18": "videxp.models.torchvision_video",
        "r2plus1d_18": "videxp.models.torchvision_video",
        "s3d": "videxp.models.torchvision_video",
        "mvit_v1_b": "videxp.models.torchvision_video",
        "mvit_v2_s": "videxp.models.torchvision_video",
        "swin3d_t": "videxp.models.torchvision_video",
        "swin3d_s": "videxp.models.torchvision_video",
        "swin3d_b": "videxp.models.torchvision_video",
        "x3d_xs": "videxp.models.x3d",
        "x3d_s": "videxp.models.x3d",
        "x3d_m": "videxp.models.x3d",
        "x3d_l": "videxp.models.x3d",
        "slowfast_r50_4x16": "videxp.models.slowfast",
        "slowfast_r50_8x8": "videxp.models.slowfast",
        "slow_r50_8x8": "videxp.models.slowfast",
        "tsn_r50": "videxp.models.tsn",
        "tsm_r50": "videxp.models.tsn",
        "tsn_timm": "videxp.models.timm_backbones",
        "tsm_timm": "videxp.models.timm_backbones",
        "uniformer_s": "videxp.models.uniformer",
        "c3d": "videxp.models.vgg3d",
        "i3d_r50": "videxp.models.i3d",
        "convlstm": "videxp.models.recurrent",
        "lrcn": "videxp.models.frame_lstm",
        "videomae_b": "videxp.models.huggingface",
        "timesformer_b": "videxp.models.huggingface",
        "vjepa2_l": "videxp.models.huggingface",
        "vivit_b": "videxp.models.vivit",
        "SmallCNN3D": "videxp.models.small",
        "FrameCNN": "videxp.models.small",
        "Bicubic": "videxp.models.bicubic",
        "SRResNet": "videxp.models.srresnet",
        "SPyNet": "videxp.models.spynet",
        "EDVR": "videxp.models.edvr",
        "TDAN": "videxp.models.tdan",
        "BasicVSR": "videxp.models.basicvsr",
        "IconVSR": "videxp.models.iconvsr",
        "BasicVSRPlusPlus": "videxp.models.basicvsr_pp",
        "VGAN": "videxp.models.vgan",
        "MoCoGAN": "videxp.models.mocogan",
        "TGANv2": "videxp.models.tganv2",
        "ContinuousGAN": "videxp.models.continuous_gan",
        "VideoGAN": "videxp.models.gan",
        "VideoGenerator": "videxp.models.gan",
        "Discriminator": "videxp.models.gan",
        "View": "videxp.models.gan",
        "count_parameters": "videxp.models.summary",
        "gmacs": "videxp.models.summary",
        "load_weights": "videxp.models.weights",
    },
)
