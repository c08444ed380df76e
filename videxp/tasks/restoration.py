"""Video restoration: a degraded clip in, the clean clip out. Super-resolution is its member with `network.scale` > 1.

Shapes: B clips, T frames, C = 3 channels, H, W pixels of the target, h = H / scale, w = W / scale. Values in [0,1].
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.data.module import VideoDataModule
from videxp.data.prepared import datamodule_of
from videxp.losses.restoration import WeightedLosses
from videxp.metrics.restoration import (
    PSNR_CAP_DB,
    ClipMean,
    QualityProtocol,
    clip_rows,
    frame_scores,
    psnr,
    steadiness,
)
from videxp.models.restoration.bicubic import bicubic
from videxp.models.summary import gmacs_of_call
from videxp.tasks.base import Split, VideoTask, parameter_groups
from videxp.tasks.comparisons import Comparison, save_comparison_clips, save_comparison_strips
from videxp.tasks.deployable import DeployableRestorer
from videxp.tasks.patches import chosen_patch, cut_around, detail_of_pixels, patch_question
from videxp.tasks.questions import Question, require_known
from videxp.tasks.restoration_inputs import blank_batch, degradation_name, inputs_of, played_fps
from videxp.tasks.teaching import Taught
from videxp.transforms.restoration import degrade

SCORES = ("psnr", "ssim", "psnr_gain")
STEADINESS = ("psnr_std", "flicker")
INPUT = "input"  # the baseline that there always is
ROW = ("index", "path", "frames", "identical_frames")  # what a row of predictions.csv holds besides


class Restoration(Taught):
    """Any degradation of the data set, any network float [B,T,C,h,w] -> [B,T,C,H,W].

    A network or baseline whose class says `told = "noise_level"` is also called with the condition, float [B,T,K,h,w],
    that the degradation `tells`. Scores are the mean over a clip's frames, then over clips. `psnr_gain` is PSNR over
    that of the input (brought to the target's size by bicubic interpolation): what the network is better than none.
    The test puts the same scores of the input and of other baselines beside the network's, as `psnr_input`.
    """

    contract: ClassVar[Contract] = Contract(
        network_parameter="scale",
        needs=("target",),
        metrics={
            "psnr": "max",
            "ssim": "max",
            "psnr_gain": "max",
            "loss": "min",
            "psnr_std": "min",
            "flicker": "min",
        },
        test_only=("psnr_std", "flicker"),
        train_metrics=("loss", "distillation"),
        baselines=("input",),
        of_baselines=("psnr", "ssim", "psnr_std", "flicker"),
        of_degradations=("psnr", "psnr_gain"),
        headline=("psnr", "ssim"),
        predictor="videxp.deploy.restore_files",
        streamer="videxp.deploy.streaming.restore",
        predict_example="VIDEO.mp4 -o RESTORED.mp4",
        explains=("map", "frames"),
        map_method="integrated_gradients",
    )

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Any,
        scheduler: Any,
        losses: dict[str, nn.Module],
        test_metrics: dict[str, nn.Module] | None = None,
        baselines: dict[str, nn.Module] | None = None,
        test_degradations: dict[str, nn.Module] | None = None,
        monitor: str = "val/psnr",
        channel: Literal["rgb", "y"] = "y",
        border: Annotated[int, Ge(0)] = 0,
        flow_lr_scale: Annotated[float, Ge(0)] = 1.0,
        flow_frozen_batches: Annotated[int, Ge(0)] = 0,
        decay_norms_and_biases: bool = False,
        teacher: str | None = None,
        teacher_weight: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        load_teacher: Callable[..., nn.Module] | None = None,
        example_clips: Annotated[int, Ge(0)] = 3,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        """
        losses: name -> loss; their weighted sum is logged as train/loss and, of several, each as train/<name>. A loss
            `of` frames within the network, such as RealBasicVSR's "cleaned", is of the training alone.
        test_metrics: name -> module of (output, target), 8-bit frames float [B,T,C,H,W] in [0,1], -> a value for each
            frame or pair of frames, such as `videxp.metrics.Lpips`; means over clips are logged as test/<name>. What
            one with `over_set`, such as `videxp.metrics.VFID`, gives goes into the metric that this makes.
        baselines: name -> module that restores without training, such as a median over time; tested beside the network.
        test_degradations: name -> degradation of the same targets, such as other levels of noise; the test logs
            test/psnr_<name> and test/psnr_gain_<name> of each. seed: of their randomness.
        channel: PSNR and SSIM in RGB, or on Y of BT.601. border: pixels left out at each side.
        flow_lr_scale: factor of the learning rate for the network's part `flow` (SPyNet in BasicVSR and its kin).
        flow_frozen_batches: so many batches leave `flow` as it is.
        teacher: a run folder; the distance is L1 between frames. See `teaching.py`.
        """
        super().__init__(
            network=network,
            optimizer=optimizer,
            scheduler=scheduler,
            monitor=monitor,
            decay_norms_and_biases=decay_norms_and_biases,
        )
        if (flow_lr_scale != 1 or flow_frozen_batches) and not self._flow_parameters():
            raise BadRequest(
                f"task.flow_lr_scale={flow_lr_scale:g}, task.flow_frozen_batches={flow_frozen_batches}: "
                f"{type(network).__name__} has no flow that is trained: leave them out"
            )
        self.learn_from(teacher, weight=teacher_weight, load_teacher=load_teacher)
        self.losses = WeightedLosses(losses)
        self.losses.require_intermediates(self.restorer)
        self.protocol = QualityProtocol(channel=channel, border=border)
        self.flow_lr_scale = flow_lr_scale
        self.flow_frozen_batches = flow_frozen_batches
        self.example_clips = example_clips
        self.test_metrics = {name: metric.eval() for name, metric in (test_metrics or {}).items()}  # in no checkpoint
        self.baselines = {name: module.eval() for name, module in (baselines or {}).items()}
        self.test_degradations = dict(test_degradations or {})
        self.seed = seed
        self.require_free_names()
        self.metrics = nn.ModuleDict({split: self._over_set(split) for split in ("val", "test")})
        self.degraded_by = ""  # how the test's input was made
        self.rows: list[dict[str, Any]] = []  # one for each clip of the last test

    def score_names(self, split: str) -> tuple[str, ...]:
        """What is logged as `<split>/<name>` beside the loss."""
        if split == "val":
            return SCORES
        contract, versions = self.contract, (INPUT, *self.baselines)
        return (
            *(*SCORES, *STEADINESS, *self.test_metrics),
            *(f"{score}_{name}" for name in versions for score in (*contract.of_baselines, *self.test_metrics)),
            *(f"{score}_{name}" for name in self.test_degradations for score in contract.of_degradations),
        )

    def _over_set(self, split: str) -> MetricCollection:
        """name -> what makes one figure of all batches: the mean over clips, or what a test metric has instead."""
        judges = {
            f"{name}{of}": judge
            for name, judge in self.test_metrics.items()
            for of in ("", *(f"_{version}" for version in (INPUT, *self.baselines)))
            if hasattr(judge, "over_set")
        }
        metrics = {
            name: cast(Any, judges[name]).over_set() if name in judges else ClipMean()
            for name in self.score_names(split)
        }
        return MetricCollection({**metrics, "loss": MeanMetric()}, compute_groups=False)

    def require_free_names(self) -> None:
        """Raises BadRequest for names in the config under which something else is logged."""
        metrics = {*self.contract.metrics, *ROW}
        logged = {f"task.test_metrics.{name}": (name,) for name in self.test_metrics} | {
            f"task.{key}.{name}": tuple(f"{score}_{name}" for score in scores)
            for key, named, scores in (
                ("baselines", self.baselines, self.contract.of_baselines),
                ("test_degradations", self.test_degradations, self.contract.of_degradations),
            )
            for name in named
        }
        taken = {*metrics, *(f"{score}_{INPUT}" for score in self.contract.of_baselines)}
        for key, names in logged.items():
            if taken & set(names):
                raise BadRequest(f"{key}: a name that is taken; call it something else")
            taken |= set(names)

    @property
    def evaluation_protocol(self) -> str:
        """How the input was made, PSNR's protocol, and by which networks the test's other metrics judge."""
        others = [
            f"{name}: {getattr(metric, 'protocol', type(metric).__name__)}"
            for name, metric in self.test_metrics.items()
        ]
        return "; ".join([*([self.degraded_by] if self.degraded_by else []), str(self.protocol), *others])

    @property
    def scale(self) -> int:
        """Pixels of the target for each of the input, along a side; 1 where nothing is enlarged."""
        return cast(int, self.restorer.scale)

    @property
    def restorer(self) -> nn.Module:
        """What restores, in training."""
        return self.network

    def network_inputs(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """`video`, and `condition` for a network that is `told` one."""
        return inputs_of(self.restorer, batch)

    def work_of_one_clip(self, *, num_frames: int, size: int) -> float:
        blank = blank_batch(self.restorer, num_frames=num_frames, size=size)
        return gmacs_of_call(self.deployed, *self.network_inputs(blank))

    def deployable(self, transform: nn.Module) -> DeployableRestorer:
        return DeployableRestorer(self.deployed)

    # ---- training -----------------------------------------------------------------------------------------------

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Any]:
        output, loss, terms = self.restored(batch)
        loss, of_teacher = self.with_teacher(loss, output, batch)
        several = terms if len(terms) > 1 else {}
        log = {"train/loss": loss.detach(), **{f"train/{name}": term for name, term in several.items()}, **of_teacher}
        return {"loss": loss, "log": log}

    def distance(self, output: Tensor, taught: Tensor) -> Tensor:
        return F.l1_loss(output.float(), taught.float())

    def refusal_of_teacher(self, teacher: VideoTask) -> str:
        if not isinstance(teacher, Restoration):
            return f"is a run of {type(teacher).__name__}, none of a restoration"
        ours, theirs = ((one.scale, getattr(one.restorer, "told", "") or "nothing") for one in (self, teacher))
        if ours[0] != theirs[0]:
            return f"it enlarges {theirs[0]} times, this network {ours[0]} times"
        return "" if ours == theirs else f"it is told {theirs[1]}, this network {ours[1]}"

    def blank_batch(self, data: VideoDataModule) -> dict[str, Tensor]:
        blank = blank_batch(self.restorer, num_frames=data.num_frames, size=data.size // self.scale)
        return {name: torch.zeros_like(value, device="cpu") for name, value in blank.items()}

    def restored(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(output, weighted loss, losses by name) of a training batch."""
        inputs, target = self.network_inputs(batch), batch["target"]
        if not self.losses.intermediates:
            output = self.restorer(*inputs)
            return output, *self.losses(output, target, condition=batch.get("condition"))
        network = cast(Any, self.restorer)
        output, frames = network.forward_with_intermediates(*inputs)
        wanted = network.intermediate_targets(*inputs, target)
        pairs = {name: (frames[name], wanted[name]) for name in frames}
        return output, *self.losses(output, target, pairs, condition=batch.get("condition"))

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
        """A frozen flow gets no step and leaves no trace in the optimizer; all ranks still reduce its gradients."""
        super().on_before_optimizer_step(optimizer)
        if self.batches_seen <= self.flow_frozen_batches:
            for parameter in self._flow_parameters():
                parameter.grad = None

    def _flow_parameters(self) -> list[nn.Parameter]:
        flow = getattr(self.restorer, "flow", None)
        return list(flow.parameters()) if isinstance(flow, nn.Module) else []

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def on_test_start(self) -> None:
        super().on_test_start()
        data = datamodule_of(self.trainer)
        self.degraded_by = degradation_name(data) if isinstance(data, VideoDataModule) else ""

    def on_test_epoch_start(self) -> None:
        self.rows = []

    def evaluation_step(self, batch: dict[str, Tensor], split: Split) -> None:
        target, output = batch["target"], self.answer(batch).float()
        scores = self.scores(output, batch, split)
        if split == "test":
            scores |= self.baseline_scores(batch)
            without_BT = scores[f"psnr_{INPUT}"]
        else:
            without_BT = self.psnr_of(self.enlarged(batch["video"]), target)
        scores["psnr_gain"] = scores["psnr"] - without_BT
        if split == "test":
            scores |= self.scores_elsewhere(batch)
        metrics = cast(MetricCollection, self.metrics[split])
        for name, value_BT in scores.items():
            metrics[name].update(value_BT)
        metrics["loss"].update(self.losses(output, target, condition=batch.get("condition"))[0], weight=len(target))
        if split == "test":
            of_clips = {name: value for name, value in scores.items() if isinstance(metrics[name], ClipMean)}
            self.rows += clip_rows(of_clips, batch["index"])

    def scores(self, output: Tensor, batch: Mapping[str, Tensor], split: Split) -> dict[str, Tensor]:
        """name -> a value for each frame or pair of frames: float [B,T], [B,T-1] or, for whole clips, [B,1]."""
        target = batch["target"]
        scores = frame_scores(output, target, protocol=self.protocol)
        if split == "test":
            seen = (output.clamp(0, 1) * 255).round() / 255
            scores |= steadiness(scores["psnr"], output, target)
            scores |= {name: metric.to(seen.device)(seen, target) for name, metric in self.test_metrics.items()}
        return scores

    def psnr_of(self, clip: Tensor, target: Tensor) -> Tensor:
        return psnr(clip, target, protocol=self.protocol).clamp(max=PSNR_CAP_DB)

    def baseline_scores(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`psnr_<baseline>` and the like, of the input and of `baselines`."""
        return {
            f"{score}_{name}": value
            for name, clip in self.untrained(batch)
            for score, value in self.scores(clip, batch, "test").items()
        }

    def untrained(self, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """(name, clip float [B,T,C,H,W]) of the input and of each baseline."""
        yield INPUT, self.enlarged(batch["video"])
        for name, baseline in self.baselines.items():
            yield name, baseline.to(batch["video"].device)(*inputs_of(baseline, batch)).float()

    def scores_elsewhere(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`psnr_<name>` and `psnr_gain_<name>` for each of `test_degradations`."""
        scores: dict[str, Tensor] = {}
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        for name, degradation in self.test_degradations.items():
            made = degrade(degradation, batch["target"], seed=self.seed, keys=keys)
            scores[f"psnr_{name}"] = self.psnr_of(self.answer({**batch, **made.fields()}).float(), made.target)
            without_BT = self.psnr_of(self.enlarged(made.video), made.target)
            scores[f"psnr_gain_{name}"] = scores[f"psnr_{name}"] - without_BT
        return scores

    def enlarged(self, video: Tensor) -> Tensor:
        """The input at the target's size, by bicubic interpolation: float [B,T,C,h,w] -> [B,T,C,H,W]."""
        return video if self.scale == 1 else bicubic(video, self.scale)

    # ---- explanation --------------------------------------------------------------------------------------------

    def questions(self, batch: Mapping[str, Tensor], *, asked: Mapping[str, str]) -> list[Question]:
        """Which frames and pixels a patch of the clip's middle frame was made from: the one with the most detail unless
        one is asked for. See `patches.py`."""
        require_known(asked, ("patch",), task="a restored video")
        given = {name: batch[name][:1] for name in ("video", "condition") if name in batch}
        frame = given["video"].shape[1] // 2
        chosen = chosen_patch(self.interest(given, frame), frame, asked.get("patch"))
        return [patch_question(self.answer, cut_around(given, chosen), scale=self.scale)]

    def interest(self, given: Mapping[str, Tensor], frame: int) -> Tensor:
        """Of each pixel of a frame of the input, [1,1,h,w]: where an explanation looks."""
        return detail_of_pixels(given["video"][:, frame])

    def evaluation_metrics(self, split: Split) -> dict[str, Tensor]:
        metrics = cast(MetricCollection, self.metrics[split])
        values = metrics.compute()
        for name, metric in metrics.items():
            if not getattr(metric, "clips_counted", 1):
                del values[name]
        metrics.reset()
        return values

    def prediction_rows(self, datamodule: Any) -> list[dict[str, Any]]:
        """One row for each clip that this process tested: index, path, frames and its scores."""
        videos = datamodule.dataset("test")
        paths = [videos.file(row["index"]) for row in self.rows]
        return [{"index": row["index"], "path": path, **row} for row, path in zip(self.rows, paths)]

    # ---- what it looks like -------------------------------------------------------------------------------------

    def save_samples(self, folder: Path, datamodule: Any, split: Literal["val", "test"]) -> list[Path]:
        """Input, baselines, output and target of a few clips side by side: a picture and a video."""
        total = len(datamodule.dataset(split))
        count = min(self.example_clips, total)
        if not count:
            return []
        indices = [i * total // count for i in range(count)]
        comparisons = [self._comparison(datamodule, split, index) for index in indices]
        return [
            save_comparison_strips(comparisons, folder / "restored.png"),
            save_comparison_clips(
                comparisons, folder / "restored_clips.mp4", fps=played_fps(datamodule, split, indices[0])
            ),
        ]

    def save_worst(self, rows: list[dict[str, Any]], datamodule: Any, path: Path) -> bool:
        comparisons = [self._comparison(datamodule, "test", row["index"]) for row in rows[: self.example_clips]]
        if comparisons:
            save_comparison_clips(comparisons, path, fps=played_fps(datamodule, "test", rows[0]["index"]))
        return bool(comparisons)

    def _shown(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The baselines, as pictures call them."""
        clips = dict(self.untrained(batch))
        return {"bicubic": clips.pop(INPUT), **clips} if self.scale > 1 else clips

    @torch.no_grad()
    def _comparison(self, datamodule: Any, split: Literal["val", "test"], index: int) -> Comparison:
        batch = datamodule.transformed(datamodule.read(split, [index]), split, device=self.device)
        video, target = batch["video"], batch["target"]
        nearest = video.repeat_interleave(self.scale, dim=-2).repeat_interleave(self.scale, dim=-1)
        clips = {
            "input": nearest,
            **self._shown(batch),
            "output": self.answer(batch).float(),
            "target": target,
        }
        captions = {}
        for name in ("bicubic" if self.scale > 1 else INPUT, *self.baselines, "output"):
            scores = frame_scores(clips[name], target, protocol=self.protocol)
            captions[name] = f"{scores['psnr'].mean():.2f} dB, {scores['ssim'].mean():.3f}"
        title = datamodule.dataset(split).path(index).name
        return Comparison(title, {name: clip[0] for name, clip in clips.items()}, captions)
