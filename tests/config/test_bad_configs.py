"""One case for each kind of bad config: exit status 2, one line that names key and remedy, nothing written."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from tests.config.conftest import RECIPE
from tests.conftest import videxp
from videxp.config.composing.sources import mount
from videxp.config.places import own_folder

Call = Callable[..., tuple[int, str, str]]
Write = Callable[[str, str], Path]

# Overrides that plain Hydra ran in silence (batch_size and so on live in groups here).
SILENT_IN_HYDRA = [
    (["+optimzer.lr=1"], "optimzer: unknown key; did you mean optimizer?"),
    (["++optimzer.lr=1"], "optimzer: unknown key; did you mean optimizer?"),
    (["dataset.batch_size=eight"], "dataset.batch_size=eight: wrong type; takes a whole number"),
    (["dataset.batch_size=-4"], "dataset.batch_size=-4: out of range; must be >= 1"),
    (["dataset.clips.clip_fps=1e9"], "dataset.clips.clip_fps=1000000000.0: out of range; must be > 0 and <= 1000"),
    (["trainer.max_epochs=1.5"], "trainer.max_epochs=1.5: wrong type; takes a whole number"),
    (["seed="], "seed=: no value; write seed=VALUE"),
    (["optimizer.lr="], "optimizer.lr=: no value; write optimizer.lr=VALUE"),
    (["run.notes=None"], "run.notes=None: a word, not nothing; write run.notes=null"),
    (["seed=1", "seed=2"], "seed=2: given twice (seed=1 before); keep one of them"),
    (["+trainer.val_check_interval=0"], "trainer.val_check_interval=0: out of range; must be > 0"),
    (["trainer.max_steps=1e3"], "trainer.max_steps=1000.0: wrong type; takes a whole number: write 1000"),
    (["dataset.num_frames=true"], "dataset.num_frames=true: wrong type; takes a whole number"),
    (["+model.num_classes=0"], "model.num_classes=0: out of range; must be >= 1"),
]

OTHERS = [
    # keys
    (["run.name="], "run.name=: unknown key of run; known: group, notes, resume, tags"),
    (["optimizer.lrr=1"], "optimizer.lrr=1: unknown key of torch.optim.AdamW; did you mean optimizer.lr?"),
    (["+optimizer.lrr=1"], "optimizer.lrr=1: unknown key of torch.optim.AdamW; did you mean optimizer.lr?"),
    (["++optimizer.lrr=1"], "optimizer.lrr=1: unknown key of torch.optim.AdamW; did you mean optimizer.lr?"),
    (["optimizer.eps=1e-6"], "optimizer.eps=1e-6: not in the config yet; write +optimizer.eps=1e-6 to add it"),
    (
        ["dataset.train_transform.rand_augment={num_opps: 2}"],
        "dataset.train_transform.rand_augment: wrong type; takes a mapping from one of num_ops, magnitude",
    ),
    (
        ["dataset.train_transform.corruptions=yi2012"],
        "dataset.train_transform.corruptions=yi2012: no such table; did you mean yi2021?",
    ),
    (
        ["dataset.train_transform.corruptions={protocol: yi2021, names: [fogg]}"],
        "dataset.train_transform.corruptions.names=fogg: yi2021 has none of this name; did you mean fog?",
    ),
    (
        ["task.teacher=runs/gone"],
        "task.teacher=runs/gone: no run folder: there is no config.yaml in it; give one of this",
    ),
    (["dataset.protocl=4x3"], "dataset.protocl=4x3: unknown key of videxp.data.module.VideoDataModule; did you mean"),
    (["+task.temperature=2"], "task.temperature=2: is of distillation, and there is no task.teacher=RUN"),
    (
        ["dataset.clips.sampling=segments", "dataset.clips.test_clips=10"],
        "dataset.clips.test_clips=10: sampling=segments makes one clip of a whole video; set 1",
    ),
    (
        ["dataset.decoding.frame_size=[112]"],
        "dataset.decoding.frame_size=[112]: must be [height, width] in pixels, or null",
    ),
    (["model=r3d_18", "model.weights=w/none.pth"], "model.weights=w/none.pth: no such file; give the path or URL of a"),
    (["model=r3d_18", "model.weights=kinetics400_v1"], "no such file; did you mean KINETICS400_V1?"),
    (["model=r3d_18", "model.weights=."], "model.weights=.: is a folder; give a file in it"),
    (["task.layer_decay=1.5"], "task.layer_decay=1.5: out of range; must be > 0 and <= 1"),
    (["task.trained=head"], "task.trained=head: wrong type; takes a list"),
    (["dataset.loading.shuffle=class_balance"], "dataset.loading.shuffle=class_balance: wrong value; takes one of"),
    (["lr=1"], "lr=1: unknown key; did you mean optimizer.lr?"),
    (["+hardware.devics=1"], "hardware.devics=1: unknown key of hardware; did you mean hardware.devices?"),
    (["hydra.rundir=a"], "hydra.rundir=a: unknown key; did you mean hydra.run.dir?"),
    (["run.grup=a"], "run.grup=a: unknown key of run; did you mean run.group?"),
    (
        ["+dataset.layout.fpss=3"],
        "dataset.layout.fpss=3: unknown key of videxp.data.layouts.moving_digits.MovingDigits; did",
    ),
    (["+optimizer.lr=1"], "optimizer.lr=1: exists already; write it without the +"),
    (["~optimizer.lrr"], "optimizer.lrr: nothing to delete there"),
    (["+trainer.devices=2"], "trainer.devices=2: set hardware.devices instead"),
    (["+model._args_=[3]"], "model._args_=[3]: arguments must be named"),
    (["seed.x=1"], "seed: wrong type; takes a whole number"),
    # what is not said
    (["~dataset"], "dataset: missing"),
    (["task.monitor=???"], "task.monitor=???: missing"),
    (
        ["~callbacks.checkpoint.monitor"],
        "callbacks.checkpoint.monitor: missing; videxp.training.callbacks.checkpoint.Checkpoint needs it",
    ),
    (["model=null"], "model=null: choose one by its name (videxp list models)"),
    (
        ["model=mocogan"],
        "model=videxp.models.generation.mocogan.MoCoGAN: no network for Classification, whose models take",
    ),
    (["model=basicvsr"], "model=videxp.models.restoration.basicvsr.BasicVSR: no network for Classification, whose"),
    # types and ranges
    (
        ["trainer.limit_train_batches=1.5"],
        "trainer.limit_train_batches=1.5: a number of batches, such as 2, or a share",
    ),
    (["+trainer.overfit_batches=1"], "trainer.overfit_batches=1: would draw other batches in each epoch; give a data"),
    (["+trainer.fast_dev_run=true"], "trainer.fast_dev_run=true: would leave no run behind; trainer=quick takes"),
    (["optimizer.lr={a: 1}"], "optimizer.lr: wrong type; takes a number"),
    (["optimizer.lr=[0.1]"], "optimizer.lr=[0.1]: wrong type; takes a number"),
    (["optimizer.lr=inf"], "optimizer.lr=inf: out of range; must be finite"),
    (["optimizer.lr=abc"], "optimizer.lr=abc: wrong type; takes a number"),
    (["optimizer.lr='1e-3'"], "optimizer.lr=1e-3: wrong type; takes a number, not text: write 1e-3 without quotes"),
    (["hardware.devices=two"], "hardware.devices=two: wrong type; takes a whole number or auto or a list"),
    (["hardware.precision=17"], "hardware.precision=17: wrong type; takes one of 32-true, 16-mixed"),
    (["optimizer.lr=-1"], "optimizer.lr=-1: out of range; must be > 0"),
    (["dataset.batch_size=0"], "dataset.batch_size=0: out of range; must be >= 1"),
    (["dataset.num_frames=0"], "dataset.num_frames=0: out of range; must be >= 1"),
    (["+optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: wrong type; takes a list of 2"),
    (["task.label_smoothing=1.5"], "task.label_smoothing=1.5: out of range; must be >= 0 and < 1"),
    (["seed=-1"], "seed=-1: out of range; must be >= 0"),
    # names
    (["model=cnn3d_smal"], "model=cnn3d_smal: unknown model; did you mean cnn3d_small"),
    (
        ["dataset=moving_digit"],
        "dataset=moving_digit: unknown dataset; did you mean moving_digits or moving_digit_boxes?",
    ),
    (["hardware=gpuu"], "hardware=gpuu: unknown hardware; did you mean gpu?"),
    (["modell=cnn3d_small"], "modell=cnn3d_small: unknown key; did you mean model"),
    # the parts and the machine
    (["task.monitor=val/acc"], "task.monitor=val/acc: nobody logs it; did you mean val/accuracy?"),
    (
        ["callbacks.checkpoint.monitor=val/los"],
        "callbacks.checkpoint.monitor=val/los: nobody logs it; did you mean val/loss?",
    ),
    (
        ["hardware=ddp_cpu", "dataset.batch_size=7"],
        "dataset.batch_size=7: does not divide over 2 processes; write 6 or 8",
    ),
    (["hardware=cpu", "hardware.strategy=ddp", "hardware.devices=4096"], "hardware.devices=4096: more processes than"),
    (["hardware=cpu", "hardware.strategy=fsdp"], "hardware.strategy=fsdp: needs GPUs; hardware=ddp_cpu"),
    (
        ["model=slowfast_r50_4x16", "dataset.num_frames=2"],
        "dataset.num_frames=2: slowfast_r50_4x16 takes at least 8 frames",
    ),
    # what may be built
    (["model._target_=os.system"], "model._target_=os.system: os is not on the list of packages to build from"),
    (["model._target_=torch.load"], "is really the function torch.serialization.load, which a config may not call"),
    (["optimizer._target_=torch.optim.AdamWW"], "torch.optim has no AdamWW; did you mean torch.optim.AdamW"),
    # grammar
    (["optimizer.lr=1,2"], "optimizer.lr=1,2: several values"),
    (["run.notes=a{b"], "cannot be read as KEY=VALUE; quote a value"),
    (["verbose"], "verbose: is no override; write KEY=VALUE"),
    (["experiments=other"], "experiments=other: the recipe is the command's first argument"),
    (["run.notes=${nowhere}"], "run.notes=${nowhere}: cannot be resolved"),
]


def refused(call: Call, *arguments: str, folder: Path, listing: Callable[[Path], set[str]]) -> list[str]:
    """The lines on stderr of a command that must be refused and leave nothing behind."""
    before = listing(folder)
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert listing(folder) == before
    assert HydraConfig.instance().cfg is None and not GlobalHydra.instance().is_initialized()
    return err.splitlines()


def groups(cases: list[tuple[list[str], str]]) -> list[list[tuple[list[str], str]]]:
    """Cases of which no two of a group speak of the same part of a config: all of a group fit in one command."""
    found: list[list[tuple[list[str], str]]] = []
    for case in cases:
        mine = parts([case])
        group = next((group for group in found if not mine & parts(group) and "model" not in mine), None)
        if group is None:
            found.append(group := [])
        group.append(case)
    return found


def parts(cases: list[tuple[list[str], str]]) -> set[str]:
    return {re.split("[.=@]", word.lstrip("+~"))[0] for overrides, _ in cases for word in overrides}


@pytest.mark.slow  # together
@pytest.mark.parametrize("cases", groups(SILENT_IN_HYDRA + OTHERS), ids=lambda cases: " ".join(cases[0][0]))
def test_a_bad_override_is_refused_in_one_line(cases: list[tuple[list[str], str]], folder, call, listing):
    overrides = [word for words, _ in cases for word in words]
    lines = refused(call, "check", RECIPE, *overrides, folder=folder, listing=listing)
    assert len(lines) == len(cases)
    for _, said in cases:
        assert len([line for line in lines if said in line]) == 1, said


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["KINETICS400_V1", "https://example.org/r3d.pth", "there.pth"])
def test_weights_that_may_be_there_are_no_problem(weights: str, folder: Path, call):
    (folder / "there.pth").touch()
    assert call("check", RECIPE, "model=r3d_18", f"model.weights={weights}")[0] == 0


@pytest.mark.slow
def test_a_run_that_goes_on_needs_no_weights_to_begin_with(folder: Path, call):
    gone = ["model=r3d_18", "model.weights=gone.pth", "run.resume=auto", "hydra.run.dir=begun"]
    assert call("check", RECIPE, *gone)[0] == 2
    (folder / "begun").mkdir()
    (folder / "begun/config.yaml").touch()
    assert call("check", RECIPE, *gone)[0] == 0


@contextmanager
def plain_hydra() -> Iterator[None]:
    mount(None)
    with hydra.initialize_config_dir(str(own_folder("conf")), version_base="1.3"):
        yield


@pytest.mark.slow  # together
@pytest.mark.parametrize("cases", groups(SILENT_IN_HYDRA), ids=lambda cases: " ".join(cases[0][0]))
def test_plain_hydra_accepts_it_in_silence(cases: list[tuple[list[str], str]], folder):
    """The negative control of the table above."""
    overrides = [word for words, _ in cases for word in words]
    with plain_hydra():
        assert hydra.compose("config", [f"experiments={RECIPE}", *overrides]) is not None


@pytest.mark.slow
def test_all_problems_are_reported_at_once(folder, call, listing):
    bad = ["optimizer.lrr=1", "seed=", "model=nothing_like_it", "+optimzer.lr=1", "optimizer.lr=abc", "~x"]
    lines = refused(call, "check", RECIPE, *bad, folder=folder, listing=listing)
    keys = ["optimizer.lrr", "seed", "model", "optimzer", "optimizer.lr", "x"]
    assert sorted(re.split("[=:]", line.removeprefix("videxp: "))[0] for line in lines) == sorted(keys)


def test_a_value_taken_over_by_other_keys_is_one_problem(folder, call, listing):
    lines = refused(call, "check", RECIPE, "hardware.num_workers=two", folder=folder, listing=listing)
    assert [line.split("=")[0] for line in lines] == ["videxp: hardware.num_workers"]


@pytest.mark.parametrize("name", ["classification/moving_digts", "moving_digits", "nothing.yaml"])
def test_an_unknown_recipe_is_answered_with_near_names(name: str, folder, call, listing):
    lines = refused(call, "check", name, folder=folder, listing=listing)
    assert len(lines) == 1 and f"{name}: unknown recipe" in lines[0]


RECIPES = {
    "misspelt key": (
        "optimizer:\n  lrr: 1",
        "optimizer.lrr=1: unknown key of torch.optim.AdamW; did you mean optimizer.lr?",
    ),
    "unknown root key": ("optimiser:\n  lr: 1", "optimiser: unknown key; did you mean optimizer?"),
    "unknown key of hardware": ("hardware:\n  gpus: 1", "hardware.gpus=1: unknown key of hardware"),
    "not YAML": ("optimizer: [1", "not be read"),
    "bad interpolation": ("optimizer:\n  lr: ${no.such}", "optimizer.lr=${no.such}: cannot be resolved"),
    "part without a target": ("optimizer:\n  _target_: null", "optimizer._target_=null: missing"),
    "swallowed by kwargs": (
        "callbacks:\n  ema:\n    _target_: pytorch_lightning.callbacks.EMAWeightAveraging\n    decy: 0.9",
        "EMAWeightAveraging; did you mean callbacks.ema.decay",
    ),
    "torchmetrics through kwargs": (
        "callbacks:\n  m:\n    _target_: torchmetrics.classification.MulticlassAccuracy\n    num_clases: 3",
        "callbacks.m.num_clases=3: unknown key",
    ),
    "worse is better": (
        "callbacks:\n  stop:\n    _target_: pytorch_lightning.callbacks.EarlyStopping\n    monitor: val/loss\n"
        "    mode: max",
        "callbacks.stop.mode=max: val/loss is better when lower; callbacks.stop.mode=min",
    ),
    "callback that is no node": (
        "callbacks:\n  checkpoit:\n    every_n_epochs: 2",
        "callbacks.checkpoit: no node with",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", RECIPES)
def test_a_bad_recipe_is_refused_in_one_line(case: str, folder, write: Write, call, listing):
    text, said = RECIPES[case]
    header = "# @package _global_\n# A recipe of one's own\ndefaults:\n  - classification/moving_digits\n\n"
    write("experiments/mine.yaml", header + text + "\n")
    lines = refused(call, "check", "mine", folder=folder, listing=listing)
    assert len(lines) == 1 and said in lines[0]


def test_a_recipe_without_the_package_line_is_told_so(folder, write: Write, call, listing):
    write("experiments/mine.yaml", "defaults:\n  - classification/moving_digits\n\noptimizer:\n  lr: 1\n")
    lines = refused(call, "check", "mine", folder=folder, listing=listing)
    said = "a recipe's first line must be `# @package _global_`, and is `defaults:`"
    assert lines == [f"videxp: experiments/mine.yaml: {said}"]


def test_a_recipe_that_chooses_no_model_is_told_what_there_is(folder, write: Write, call, listing):
    write(
        "experiments/mine.yaml",
        "# @package _global_\ndefaults:\n  - override /task: classification\n  - override /dataset: moving_digits\n",
    )
    lines = refused(call, "check", "mine", folder=folder, listing=listing)
    assert len(lines) == 1 and "model: missing; the recipe chooses none: model=NAME" in lines[0]


def test_a_recipe_with_a_whole_model_is_told_where_it_belongs(folder, write: Write, call, listing):
    top = "# @package _global_\ndefaults:\n  - override /task: classification\n  - override /dataset: moving_digits\n"
    node = "_target_: videxp.models.classification.small.SmallCNN3D\nwidth: 4\n"
    write(
        "experiments/mine.yaml", f"{top}model:\n  _target_: videxp.models.classification.small.SmallCNN3D\n  width: 4\n"
    )
    lines = refused(call, "check", "mine", folder=folder, listing=listing)
    assert len(lines) == 1 and "experiments/mine.yaml gives a whole one: move what is below `model:` into" in lines[0]
    write("conf/model/own.yaml", node)
    write("experiments/mine.yaml", f"{top}  - override /model: own\n")
    assert call("check", "mine")[::2] == (0, "")


@pytest.mark.slow
def test_clips_of_another_length_than_the_figures_are_refused(folder, call, listing):
    wrong = ["dataset.num_frames=8", "task.protocol.num_frames=4"]
    lines = refused(call, "check", "generation/moving_digits", *wrong, folder=folder, listing=listing)
    assert len(lines) == 1 and lines[0].startswith("videxp: task.protocol.num_frames=4: only names the clips")
    alike = lines[0].partition("write both alike: ")[2].split()
    assert call("check", "generation/moving_digits", *alike)[::2] == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("path,label,split\na.mp4,x,train\nb.mp4,y,trian\n", "line 3: split='trian' belongs to no split"),
        ("path,label,split\na.mp4,x,train\nb.mp4,y,train\nc.mp4,x,val\n", "1 files that list.csv lists are not there"),
        ("path,label,split\na.mp4,x,train\nb.mp4,x,val\nb.mp4,x,val\n", "lists b.mp4 twice in val"),
    ],
)
def test_a_table_that_cannot_be_prepared_is_refused_by_the_check(table: str, said: str, folder, write: Write, call):
    write("data/a.mp4", "")
    write("data/b.mp4", "")
    write("data/list.csv", table)
    chosen = ["dataset=manifest", "dataset.root=data", "dataset.layout.file=list.csv"]
    status, _, err = call("check", "classification/finetune", *chosen)
    assert status == 2 and said in err and len(err.splitlines()) < 3
    write("data/list.csv", "path,label,split\na.mp4,x,train\nb.mp4,x,val\n")
    assert call("check", "classification/finetune", *chosen)[::2] == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], ""),
        (["trainer.limit_val_batches=0"], "no checkpoint will be the best: trainer.limit_val_batches=0"),
        (
            ["trainer.check_val_every_n_epoch=5", "trainer.max_epochs=4"],
            "no checkpoint will be the best: trainer.check_val_every_n_epoch=5, trainer.max_epochs=4",
        ),
        (["scheduler.warmup_epochs=3", "trainer.max_epochs=2"], "not reached: scheduler.warmup_epochs=3"),
        (
            ["scheduler=multi_step", "scheduler.milestones=[1,2,7]", "trainer.max_epochs=4"],
            "scheduler.milestones 7 are not reached: trainer.max_epochs=4",
        ),
    ],
)
def test_what_is_seldom_meant_is_noted(overrides: list[str], said: str, folder, call):
    status, out, _ = call("check", RECIPE, *overrides)
    assert status == 0 and ("  note " in out) == bool(said) and said in out


def test_a_missing_data_folder_is_named(folder, write: Write, call, listing):
    write(
        "conf/dataset/mine.yaml",
        "defaults:\n  - _base\nname: mine\nroot: nowhere\n"
        "layout:\n  _target_: videxp.data.layouts.base.FolderPerClass\n",
    )
    lines = refused(call, "check", RECIPE, "dataset=mine", folder=folder, listing=listing)
    assert len(lines) == 1
    assert lines[0].startswith("videxp: dataset.root=nowhere: the folder nowhere does not exist")


@pytest.mark.slow
def test_a_number_of_classes_unlike_the_data_is_refused(folder, write: Write, call, listing):
    from videxp import config
    from videxp.data.preparing.preparation import manifest_path

    dataset = config.compose(RECIPE, []).cfg.dataset
    path = manifest_path(
        config.build(dataset.layout),
        root=Path(dataset.root),
        cache_dir=Path(dataset.preparing.cache_dir),
        name=dataset.name,
    )
    write(os.path.relpath(path, folder), '# videxp manifest {"classes": ["up", "down"]}\n')
    lines = refused(call, "check", RECIPE, "+model.num_classes=3", folder=folder, listing=listing)
    assert "model.num_classes=3: moving_digits has 2 classes; leave it out" in lines[0]
    assert call("check", RECIPE, "+model.num_classes=2")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "overrides", "said"),
    [
        (0, ["hardware=gpu"], "hardware.accelerator=gpu: this machine has no GPU that is visible; hardware=cpu"),
        (2, ["hardware=ddp", "hardware.devices=4"], "hardware.devices=4: more than the 2 GPUs of this machine"),
        (2, ["hardware=ddp", "hardware.devices=[0,2]"], "this machine's 2 GPUs are numbered from 0 to 1"),
        (2, ["hardware=ddp", "dataset.batch_size=7"], "dataset.batch_size=7: does not divide over 2 processes"),
        (2, ["hardware=gpu", "hardware.devices=2"], "hardware.strategy=single: uses one device, not 2"),
    ],
)
def test_more_devices_than_there_are(gpus: int, overrides: list[str], said: str, request: pytest.FixtureRequest):
    folder, call, listing = (request.getfixturevalue(name) for name in ("folder", "call", "listing"))
    request.getfixturevalue("monkeypatch").setattr("videxp.config.checking.fitting.count_gpus", lambda: gpus)
    lines = refused(call, "check", RECIPE, *overrides, folder=folder, listing=listing)
    assert len(lines) == 1 and said in lines[0]


def test_a_recipe_file_from_elsewhere_that_is_no_yaml_is_named_by_its_path(folder, write: Write, call, listing):
    path = write("elsewhere/broken.yaml", "a: [1\n")
    lines = refused(call, "check", str(path), folder=folder, listing=listing)
    assert lines[0].startswith("videxp: elsewhere/broken.yaml:2: cannot be read") and len(lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_real_process_ends_with_status_2(command: str, tmp_path: Path, listing):
    done = videxp(command, RECIPE, "optimizer.lrr=1", "+optimzer.lr=1", "seed=", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 3)
    assert listing(tmp_path) == set()
