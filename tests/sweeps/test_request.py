"""What a sweep refuses, before anything is written, and how it reads its space."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from tests.shrink import tiny
from videxp.config.composing.overriding import parse
from videxp.config.composing.sweeping import Axis, repeats, space_overrides, split_axes
from videxp.core.errors import BadRequest
from videxp.sweeps.planning import refuse_secrets
from videxp.sweeps.request import _axis_text, load_sweep, read_plan, read_sweep, repeated_values, save_sweep

DIGITS = "classification/moving_digits"
LR = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
RATES = "optimizer.lr=1e-2,1e-3"


def test_hydras_grammar_is_the_spaces():
    texts = ["seed=range(0,3)", "a=x,'b c'", LR, "n=int(interval(1,8))", "model=glob([x3d_*],exclude=x3d_l)", "b=1"]
    fixed, axes = split_axes(texts)
    assert fixed == ["b=1"]
    assert axes == [
        Axis("seed", values=("0", "1", "2")),
        Axis("a", values=("x", "'b c'")),
        Axis("optimizer.lr", low=1e-4, high=1e-1, is_log=True),
        Axis("n", low=1, high=8, is_int=True),
        Axis("model", values=("x3d_m", "x3d_s", "x3d_xs")),
    ]


@pytest.mark.slow
def test_equal_values_of_a_recipes_space_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    space = "sweep:\n  space:\n    optimizer.lr: [1.0e-3, 0.001, 1.0e-2]\n    seed: [0, 0]\n    run.notes: [a, b]\n"
    Path("mine.yaml").write_text(f"# @package _global_\ndefaults:\n  - classification/moving_digits\n{space}")
    said = [line.partition(": ")[2] for line in repeated_values(read_sweep("mine.yaml", ["seed=1,2"]), ["seed=1,2"])]
    assert said == ["equal values are tried once: 0.001, 0.01"]


def test_equal_values_are_told():
    assert repeats(["run.notes=a,'a'"]) == ["run.notes=a,'a': equal values are tried once: a"]
    assert repeats(["seed=0,0", "optimizer.lr=1e-3,0.001,1e-2", "a=1", "b=1,2", "c=range(0,2)", LR]) == [
        "seed=0,0: equal values are tried once: 0",
        "optimizer.lr=1e-3,0.001,1e-2: equal values are tried once: 0.001, 0.01",
    ]


BAD_SPACES = {
    "the interval's end must lie above": [["optimizer.lr=interval(1,0)", "sweep.sampler=tpe", "sweep.trials=3"]],
    "must start above 0": [["optimizer.lr=tag(log,interval(0,1))", "sweep.sampler=tpe", "sweep.trials=3"]],
    "hydra.sweep.dir is the sweep's": [[RATES, "hydra.run.dir=here"]],
    "matches no option": [["model=glob(x4d_*)"]],
    "glob() chooses among a group's options": [["seed=glob(*)"]],
    "range() arg 3 must not be zero": [["seed=range(0,10,0)"]],
    "seed=range(10,0): holds no value": [["seed=range(10,0)"]],
    "holds more than 10,000 values": [["seed=range(0,1e9)"]],
    "launcher.jobs=1,2: is the same for all trials": [["launcher.jobs=1,2"]],
}
BAD = {
    "nothing to sweep": [[]],
    "did you mean optimizer.lr?": [["optimizer.lrr=1e-2,1e-3"]],
    "is an interval, of which a grid cannot try all": [[LR]],
    "sweep.trials: missing": [[LR, "sweep.sampler=tpe"]],
    "sweep.sampler=tpee: wrong value": [[RATES, "sweep.sampler=tpee"]],
    "did you mean sweep.trials": [[RATES, "sweep.trails=3"]],
    "did you mean launcher.jobs": [[RATES, "launcher.jobbs=3"]],
    "sweep.trials=3: a grid has as many": [[RATES, "sweep.trials=3"]],
    "unknown launcher": [[RATES, "sweep.launcher=slrm"]],
    "optimizer.lr=-1: out of range": [["optimizer.lr=1e-2,-1"]],
    "dataset.batch_size=1.5: wrong type": [
        ["dataset.batch_size=interval(1.5,8)", "sweep.sampler=random", "sweep.trials=3"]
    ],
    "sweep.metric=val/acuracy: nobody logs it; did you mean val/accuracy": [[RATES, "sweep.metric=val/acuracy"]],
    "sweep.direction: 1 for 2 metrics": [[RATES, "sweep.metric=[val/accuracy,val/loss]", "sweep.direction=minimize"]],
    "prunes by one metric": [[RATES, "sweep.metric=[val/accuracy,val/loss]", "sweep.pruner=median"]],
    "sweep.sampler=cmaes: searches intervals": [[LR, "model=c3d,s3d", "sweep.sampler=cmaes", "sweep.trials=3"]],
    "empty choice is not legal": [["seed=choice()"]],
    "or close its brackets": [["seed=choice(1,2"]],
    "str is incompatible": [["optimizer.lr=interval(a,1)"]],
    "write +model.width=4,8 to add it": [["model.width=4,8"]],
    "there are 3 points, each of which is trained once; write sweep.trials=3": [
        ["seed=0,1,2", "sweep.sampler=random", "sweep.trials=9"]
    ],
    "did you mean test/accuracy": [[RATES, "sweep.metric=test/acuracy"]],
    "did you mean train/loss": [[RATES, "sweep.metric=train/los"]],
    "throughput/nothing: nobody logs it": [[RATES, "sweep.metric=throughput/nothing"]],
    "val/loss: is named twice": [[RATES, "sweep.metric=[val/loss,val/loss]"]],
    "comes at its end; sweep.pruner=null": [[RATES, "sweep.metric=test/accuracy", "sweep.pruner=median"]],
    "better when higher; sweep.direction=maximize": [[RATES, "sweep.direction=minimize"]],
    "model=c4d": [["model=c3d,c4d"]],
}


@pytest.mark.parametrize("said", [*BAD_SPACES, *(pytest.param(said, marks=pytest.mark.slow) for said in BAD)])
def test_a_bad_sweep_is_refused_in_a_line_or_two(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (overrides,) = (BAD_SPACES | BAD)[said]
    with pytest.raises(BadRequest) as refused:
        read_sweep(DIGITS, overrides)
    text = str(refused.value)
    assert said in text
    assert text.count("\n") < 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_metric_and_direction_are_the_tasks_where_nobody_says(tmp_path: Path):
    (objective,) = read_sweep(DIGITS, [RATES]).plan.objectives
    assert (objective.metric, objective.direction) == ("val/accuracy", "maximize")
    metrics = "sweep.metric=[val/loss,throughput/latency_ms,throughput/clips_per_second]"
    objectives = read_sweep(DIGITS, [RATES, metrics], check_values=False).plan.objectives
    assert [objective.direction for objective in objectives] == ["minimize", "minimize", "maximize"]


@pytest.mark.slow
def test_a_trial_is_the_recipe_with_its_values_and_nothing_of_the_sweep(tmp_path: Path):
    from videxp.sweeps.search import Trial

    sweep = read_sweep(DIGITS, [RATES, "trainer.max_epochs=1", "sweep.retries=2", "launcher.jobs=3"])
    trial = Trial("0001", 1, "running", {"optimizer.lr": "0.001"})
    composed = sweep.compose(trial, folder=tmp_path / "lr", share={"hardware.num_threads": 2})
    assert composed.cfg.optimizer.lr == 0.001
    assert composed.cfg.hardware.num_threads == 2
    assert composed.cfg.run.group == "lr"
    assert not {"sweep", "launcher"} & set(composed.cfg)
    assert composed.overrides == [
        *("trainer.max_epochs=1", "optimizer.lr=0.001", "run.group=lr", "hardware.num_threads=2")
    ]


@pytest.mark.slow
def test_the_space_can_stand_in_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = tmp_path / "experiments/mine/rates.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(
        "# @package _global_\n# Learning rates\ndefaults:\n  - classification/moving_digits\n"
        "sweep:\n  sampler: tpe\n  trials: 7\n  space:\n"
        "    optimizer.lr: tag(log,interval(1e-4,1e-1))\n    seed: [0, 1, 2]\n"
    )
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep("mine/rates", ["seed=5,6"])  # the command line wins
    assert {axis.name: axis.values for axis in sweep.axes} == {"optimizer.lr": (), "seed": ("5", "6")}
    assert (sweep.plan.sampler, sweep.plan.points) == ("tpe", 7)
    assert [axis.name for axis in read_sweep("mine/rates", ["seed=5"], check_values=False).axes] == ["optimizer.lr"]


SPACES = {
    "seed: [0, 1]": ["0", "1"],
    "optimizer.lr: [1e-3, 1e-2, 0.001]": ["0.001", "0.01"],
    "task.layer_decay: [null, 0.75]": ["null", "0.75"],
    "task.trained: [null]": ["null"],
    "dataset.train_transform.rand_augment: [null, {num_ops: 2, magnitude: 9}]": ["null", "{num_ops:2,magnitude:9}"],
    "dataset.train_transform.scale: [[0.1, 1], [0.5, 1]]": ["[0.1,1]", "[0.5,1]"],
    """run.notes: ["a,b", "c=d", "it's", "", "1", "null", " x"]""": [
        *("'a,b'", "'c=d'", "'it\\'s'", "''", "'1'", "'null'", "' x'")
    ],
    "model: [c3d, s3d]": ["c3d", "s3d"],
    "seed: 0,1": ["0", "1"],
}


@pytest.mark.parametrize("space", SPACES)
def test_a_list_in_a_space_is_of_values_of_any_kind(space: str, tmp_path: Path):
    """And each is what YAML says it is when a trial is composed and when the sweep is read back."""
    read = yaml.safe_load(space)  # where 1e-3 is a text
    ((key, wanted),) = read.items()
    (axis,) = split_axes(space_overrides(OmegaConf.to_container(OmegaConf.create(space))))[1]
    assert (axis.key, list(axis.values)) == (key, SPACES[space])
    assert split_axes([f"{key}={_axis_text(axis)}"])[1] == [axis]
    if isinstance(wanted, list) and "lr" not in key:
        assert [parse(f"k={text}").value() for text in axis.values] == wanted


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"seed": []}, "sweep.space.seed: holds no value"),
        ({"optimizer": {"lr": [1, 2]}}, r"a key is written whole; write optimizer.lr: \[VALUE, VALUE\]"),
        ({"seed": "range(0"}, "sweep.space.seed: cannot be read; write it as a list"),
    ],
)
def test_a_space_without_values_is_refused(space: dict, said: str):
    with pytest.raises(BadRequest, match=said):
        space_overrides(space)


@pytest.mark.slow
def test_a_sweep_is_read_back_as_it_was_and_refused_where_its_recipe_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = tmp_path / "experiments/mine/digits.yaml"
    recipe.parent.mkdir(parents=True)
    text = "# @package _global_\n# Digits\ndefaults:\n  - classification/moving_digits\n"
    text += "optimizer:\n  weight_decay: 0.1\n"
    recipe.write_text(text)
    monkeypatch.chdir(tmp_path)
    axes = [LR, "+model.width=int(interval(4,8))", "seed=range(0,3)"]
    sweep = read_sweep("mine/digits", [*tiny(), *axes, "sweep.sampler=tpe", "sweep.trials=3"])
    folder = tmp_path / "sweep"
    save_sweep(sweep, folder)
    assert load_sweep(folder, []).plan == read_plan(folder) == sweep.plan
    assert load_sweep(folder, ["sweep.trials=5", "launcher.jobs=2"]).plan.points == 5
    with pytest.raises(BadRequest, match=r"seed=0,1: cannot change in a sweep that has begun"):
        load_sweep(folder, ["seed=0,1"])
    recipe.write_text(text.replace("0.1", "0.2"))
    with pytest.raises(BadRequest, match=r"mine/digits has changed: optimizer.weight_decay was 0.1 .* 0.2 now"):
        load_sweep(folder, [])
    assert read_plan(folder) == sweep.plan  # it can be looked at all the same
    with pytest.raises(BadRequest, match=r"is no sweep: it has no sweep\.yaml"):
        load_sweep(tmp_path, [])


def test_a_secret_would_be_lost_in_the_frozen_config():
    with pytest.raises(BadRequest, match=r"a\.api_key is a secret.*\$\{oc\.env:NAME\}"):
        refuse_secrets(OmegaConf.create({"a": {"api_key": "0123456789abcdef"}}))
    refuse_secrets(OmegaConf.create({"a": {"api_key": "${oc.env:KEY}"}}))


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_variables_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DECAY", "0.1")
    sweep = read_sweep(DIGITS, tiny(RATES, "optimizer.weight_decay='${oc.decode:${oc.env:DECAY}}'"))
    save_sweep(sweep, tmp_path / "sweep")
    assert "0.1" not in (tmp_path / "sweep/sweep.yaml").read_text()
    assert load_sweep(tmp_path / "sweep", []).plan == sweep.plan
    monkeypatch.setenv("DECAY", "0.2")
    with pytest.raises(BadRequest, match=r"sweep: not as it began: DECAY has another value \(optimizer.weight_decay\)"):
        load_sweep(tmp_path / "sweep", [])
