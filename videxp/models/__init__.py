"""Networks: float video [B,T,C,H,W] in, logits [B,num_classes] out; one file per family, whose header names the paper.

Names are the field's, one YAML each under conf/model/. Each is made with the published number of parameters unless told
otherwise, takes `num_classes`, most take `weights` (path or URL, loaded by name), and declares the clips it accepts.
GANs are made of a generator and its discriminators, see `videxp.models.gan`.
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
        "tsn_r50": "videxp.models.tsn",
        "tsm_r50": "videxp.models.tsn",
        "uniformer_s": "videxp.models.uniformer",
        "c3d": "videxp.models.vgg3d",
        "i3d_r50": "videxp.models.i3d",
        "convlstm": "videxp.models.recurrent",
        "videomae_b": "videxp.models.huggingface",
        "timesformer_b": "videxp.models.huggingface",
        "vivit_b": "videxp.models.vivit",
        "SmallCNN3D": "videxp.models.small",
        "FrameCNN": "videxp.models.small",
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
