"""Video restoration: a degraded clip in, the clean clip out. Super-resolution is its member with `network.scale` > 1.

Shapes: B clips, T frames, C = 3 channels, H, W pixels of the target, h = H / scale, w = W / scale. Values in [0,1].
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from videxp.errors import BadRequest
from videxp.limits import Ge
from videxp.metrics.restoration import Protocol, psnr, ssim
from videxp.models.bicubic import enlarge_bicubic
from videxp.tasks.base import Split, VideoTask, parameter_groups
from videxp.tasks.comparisons import Comparison, save_comparison_clips, save_comparison_strips


class Restoration(VideoTask):
    """Any degradation that the data set's transforms make, any network float [B,T,C,h,w] -> [B,T,C,H,W].

    Scores are the mean over a clip's frames, then over clips. `psnr_gain` is PSNR over that of the input, brought to
    the target's size by bicubic interpolation: what the network is better than none.
    """

    metric_names: ClassVar[dict[str, str]] = {"psnr": "max", "ssim": "max", "psnr_gain": "max", "loss": "min"}
    headline: ClassVar[tuple[str, ...]] = ("psnr", "ssim")

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        losses: dict[str, nn.Module],
        monitor: str = "val/psnr",
        channel: Literal["rgb", "y"] = "y",
        border: Annotated[int, Ge(0)] = 0,
        flow_lr_scale: Annotated[float, Ge(0)] = 1.0,
        flow_frozen_batches: Annotated[int, Ge(0)] = 0,
        decay_norms_and_biases: bool = False,
        example_clips: Annotated[int, Ge(0)] = 3,
    ) -> None:
        """
        losses: name -> loss; each is logged as train/<name>, their sum as train/loss.
        channel: PSNR and SSIM in RGB, or on Y of BT.601. border: pixels left out at each side.
        flow_lr_scale: factor of the learning rate for the network's part `flow` (SPyNet in BasicVSR and its kin).
        flow_frozen_batches: so many batches leave `flow` as it is.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if (flow_lr_scale != 1 or flow_frozen_batches) and not isinstance(getattr(network, "flow", None), nn.Module):
            raise BadRequest(
                f"task.flow_lr_scale={flow_lr_scale:g}, task.flow_frozen_batches={flow_frozen_batches}: "
                f"{type(network).__name__} estimates no flow: leave them out"
            )
        self.losses = nn.ModuleDict(losses)
        self.protocol = Protocol(channel=channel, border=border)
        self.flow_lr_scale = flow_lr_scale
        self.flow_frozen_batches = flow_frozen_batches
        self.example_clips = example_clips
        names = list(self.metric_names)
        self.metrics = nn.ModuleDict({s: nn.ModuleDict({n: MeanMetric() for n in names}) for s in ("val", "test")})
        self.scores: list[dict[str, Tensor]] = []  # of the last test, a batch each

    # ---- training -----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        output = self(batch["video"])
        terms = {name: loss(output, batch["target"]) for name, loss in self.losses.items()}
        total = torch.stack(list(terms.values())).sum()
        several = terms if len(terms) > 1 else {}
        log = {"train/loss": total, **{f"train/{name}": value for name, value in several.items()}}
        return {"loss": total, "log": {name: value.detach() for name, value in log.items()}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The network's, and those of its flow with a learning rate of their own."""
        if self.flow_lr_scale == 1:
            return super().parameter_groups()
        decay = self.decay_norms_and_biases
        flow = {id(parameter) for parameter in self._flow_parameters()}
        groups = []
        for group in parameter_groups(self.network, decay_norms_and_biases=decay):
            for chosen, scale in ((False, 1.0), (True, self.flow_lr_scale)):
                parameters = [p for p in group["params"] if (id(p) in flow) == chosen]
                groups.append({**group, "params": parameters, "lr_scale": scale})
        return [group for group in groups if group["params"]]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """A frozen flow gets no step and leaves no trace in the optimiser; all ranks still reduce its gradients."""
        if self.batches_seen <= self.flow_frozen_batches:
            for parameter in self._flow_parameters():
                parameter.grad = None

    def _flow_parameters(self) -> list[nn.Parameter]:
        flow = getattr(self.network, "flow", None)
        return list(flow.parameters()) if isinstance(flow, nn.Module) else []

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def on_test_epoch_start(self) -> None:
        self.scores = []

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        output, target = self(batch["video"]).float(), batch["target"]
        scores = self.score(output, target)
        scores["psnr_gain"] = scores["psnr"] - self.score(self.enlarged(batch["video"]), target)["psnr"]
        metrics: Any = self.metrics[split]
        for name, value_B in scores.items():
            metrics[name].update(value_B)
        loss = torch.stack([term(output, target) for term in self.losses.values()]).sum()
        metrics["loss"].update(loss, weight=len(target))
        if split == "test":
            rows = {name: value.cpu() for name, value in scores.items()}
            self.scores.append({"index": batch["index"].cpu(), **rows})

    def score(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """float [B,T,C,H,W] twice -> PSNR in dB and SSIM of each clip, float64 [B]: the mean over its frames."""
        return {
            "psnr": psnr(output, target, self.protocol).mean(1),
            "ssim": ssim(output, target, self.protocol).mean(1),
        }

    def enlarged(self, video: Tensor) -> Tensor:
        """The input at the target's size: float [B,T,C,h,w] -> [B,T,C,H,W]."""
        scale: Any = self.network.scale
        return video if scale == 1 else enlarge_bicubic(video, scale=scale)

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        metrics: Any = self.metrics[split]
        values = {name: metric.compute() for name, metric in metrics.items()}
        for metric in metrics.values():
            metric.reset()
        return values

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each clip that this process tested: index, path and its scores."""
        videos = datamodule.dataset("test")
        columns = {name: torch.cat([scores[name] for scores in self.scores]) for name in self.scores[0]}
        return [
            {
                "index": int(index),
                "path": str(videos.path(int(index)).relative_to(datamodule.root)),
                **{name: round(float(value[row]), 4) for name, value in columns.items() if name != "index"},
            }
            for row, index in enumerate(columns["index"])
        ]

    # ---- what it looks like -------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Input, bicubic interpolation, output and target of a few clips side by side: a picture and a video."""
        videos = datamodule.dataset(split)
        count = min(self.example_clips, len(videos))
        if not count:
            return []
        indices = [i * len(videos) // count for i in range(count)]
        comparisons = [self._comparison(datamodule, split, index) for index in indices]
        return [
            save_comparison_strips(comparisons, folder / "restored.png"),
            save_comparison_clips(comparisons, folder / "restored_clips.mp4", fps=videos.clip_fps(indices[0])),
        ]

    @torch.no_grad()
    def _comparison(self, datamodule: Any, split: Literal["val", "test"], index: int) -> Comparison:
        batch = datamodule.transformed(datamodule.read(split, [index]), split, device=self.device)
        video, target = batch["video"], batch["target"]
        scale: Any = self.network.scale
        nearest = video.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
        clips = {"input": nearest, "output": self(video).float(), "target": target}
        if scale > 1:
            clips = {"input": nearest, "bicubic": self.enlarged(video), **clips}
        captions = {
            name: "{psnr:.2f} dB, {ssim:.3f}".format(**{k: float(v) for k, v in self.score(clip, target).items()})
            for name, clip in clips.items()
            if name not in ("input", "target")
        }
        title = datamodule.dataset(split).path(index).name
        return Comparison(title, {name: clip[0] for name, clip in clips.items()}, captions)
