"""The table of runs: which columns there are, which rows are kept, in which order."""

from pathlib import Path

import pytest

from tests.runs.made import CONFIG, PROVENANCE, ROWS, changed, make_run
from videxp.cli import main
from videxp.comparison.repetitions import spread
from videxp.comparison.table import (
    best_rows,
    cell_text,
    common_config,
    deciding_column,
    differing_columns,
    duration,
    matches,
    order,
    row,
    short_names,
    table_columns,
)
from videxp.core.errors import BadRequest
from videxp.runs.reading import read_run

THREE = [
    {"run": "a", "state": "finished", "optimizer.lr": 0.001, "val/loss": 2.0, "model._target_": "m.X3D"},
    {"run": "b", "state": "failed", "optimizer.lr": 0.01, "model._target_": "m.S3D"},
    {"run": "c", "state": "finished", "optimizer.lr": 0.1, "val/loss": 1.0, "model._target_": "m.X3D"},
]


def test_only_keys_that_differ_are_columns_and_copies_of_one_are_folded_into_it():
    configs = [changed(CONFIG), changed(CONFIG, seed=1, dataset__seed=1, optimizer__lr=0.1)]
    flat = [{"seed": c["seed"], "dataset.seed": c["dataset"]["seed"], "dataset.layout.seed": 0} for c in configs]
    flat = [{**f, "optimizer.lr": c["optimizer"]["lr"]} for f, c in zip(flat, configs)]
    assert [(c.key, c.copies) for c in differing_columns(flat)] == [("optimizer.lr", ()), ("seed", ("dataset.seed",))]
    assert common_config(flat) == {"dataset.layout.seed": 0}


def test_a_key_that_some_runs_lack_differs_and_one_and_one_point_zero_do_not():
    assert [c.key for c in differing_columns([{"a": 1, "b": None}, {"a": 1.0}])] == ["b"]
    assert [c.key for c in differing_columns([{"a": 1}, {"a": True}])] == ["a"]


def test_how_much_was_pruned_is_told_and_not_the_width_of_each_layer():
    pruned = [
        {"pruning.share": share, "pruning.widths": [f"conv.out_channels={n}"]} for share, n in ((0.3, 11), (0.5, 8))
    ]
    assert [c.key for c in differing_columns([{}, *pruned]) if c.shown] == ["pruning.share"]


def test_what_only_one_class_takes_is_in_files_but_not_in_the_first_look():
    wandb = {"dataset.cache._target_": "W", "dataset.cache.folder": "p"}
    columns = differing_columns([wandb, {"dataset.cache": {}}, wandb])
    assert [(c.key, c.shown) for c in columns] == [
        ("dataset.cache", False),
        ("dataset.cache._target_", True),
        ("dataset.cache.folder", False),
    ]
    columns = differing_columns([wandb, {"dataset.cache": {}}, {**wandb, "dataset.cache.folder": "q"}])
    assert [c.key for c in columns if c.shown] == ["dataset.cache._target_", "dataset.cache.folder"]


def test_hardware_logger_and_run_folder_are_in_files_but_not_in_the_first_look():
    one = {
        "hardware.precision": "32-true",
        "hardware.num_workers": 1,
        "dataset.loading.num_workers": 1,  # ${hardware.num_workers}
        "logger.wandb.project": "p",
        "run.group": "a",
        "dataset.name": "x",
    }
    other = {**one, "hardware.precision": "bf16", "hardware.num_workers": 2, "dataset.loading.num_workers": 2}
    other |= {"logger.wandb.project": "q", "run.group": "b", "run.name": "y", "dataset.name": "y"}
    columns = differing_columns([one, other])
    assert [(c.key, c.of_machine, c.shown) for c in columns] == [
        ("dataset.name", False, True),
        *((key, True, False) for key in ("hardware.num_workers", "hardware.precision")),
        *((key, True, False) for key in ("logger.wandb.project", "run.group", "run.name")),
    ]
    assert [c.of_machine for c in differing_columns([{"logger": {}}, {"logger.csv.x": 1}])] == [True, True]


def test_what_the_name_of_the_data_and_the_task_imply_is_not_in_the_first_look():
    configs = [
        {
            "dataset.name": d,
            "dataset.layout._target_": f"videxp.{d}",
            "task._target_": t,
            "task.monitor": f"val/{t}",
            "a": t,
        }
        for d, t in (("folder", "One"), ("list", "Several"))
    ]

    def shown() -> list[str]:
        return [column.key for column in differing_columns(configs) if column.shown]

    assert shown() == ["a", "dataset.name", "task._target_"]
    assert len(differing_columns(configs)) == 5  # in files
    configs.append({**configs[1], "task.monitor": "val/loss"})  # chosen
    assert shown() == ["a", "dataset.name", "task._target_", "task.monitor"]


def test_the_first_look_has_the_tasks_main_metrics_and_files_have_all(tmp_path: Path):
    runs = [read_run(make_run(tmp_path / name)) for name in "ab"]
    columns = table_columns(runs)
    assert [c.key for c in columns if c.shown] == [
        "run",
        "state",
        "val/accuracy",
        "val/accuracy.best",
        "test/accuracy",
        "val/loss",
        "test/loss",
        "seconds",
        "clips_per_second",
    ]
    assert {"train/loss", "train/loss.best", "test/accuracy.best"} <= {c.key for c in columns}
    assert [c.key for c in table_columns(runs, metrics=["train/*", "loss"]) if c.kind == "last" and c.shown] == [
        "train/loss",
        "test/loss",
        "val/loss",
    ]
    with pytest.raises(BadRequest, match="did you mean val/accuracy"):
        table_columns(runs, metrics=["val/acuracy"])


def test_what_decided_is_what_chose_the_checkpoint_or_the_trial_of_a_sweep(tmp_path: Path):
    def deciding(*folders: Path) -> str | None:
        runs = [read_run(folder) for folder in folders]
        column = deciding_column(runs, table_columns(runs))
        return None if column is None else column.key

    monitor = changed(CONFIG, task__monitor="val/loss")
    one, other = make_run(tmp_path / "runs/a"), make_run(tmp_path / "runs/b", config=monitor)
    assert deciding(one) == "val/accuracy.best"
    assert deciding(other) == "val/loss"  # its last is its best
    assert deciding(make_run(tmp_path / "runs/c", config=monitor), other, one) == "val/loss"
    (tmp_path / "runs/sweep.yaml").write_text("metrics: {test/loss: minimize}\nspace: {optimizer.lr: '1,2'}\n")
    assert deciding(one, other) == "test/loss"
    (tmp_path / "runs/sweep.yaml").write_text("metrics: [")
    assert deciding(make_run(tmp_path / "runs/d")) == "val/accuracy.best"
    unknown = make_run(tmp_path / "others/e", config=changed(CONFIG, task__monitor="val/nothing"))
    assert deciding(unknown) is None


def test_the_latency_of_a_clip_is_a_column_in_files_where_a_run_measured_it(tmp_path: Path):
    plain, measured = make_run(tmp_path / "a"), make_run(tmp_path / "b", rows=[*ROWS, {"throughput/latency_ms": 2.5}])
    assert "latency_ms" not in {c.key for c in table_columns([read_run(plain)])}
    runs = [read_run(path) for path in (plain, measured)]
    assert [(c.kind, c.better, c.shown) for c in table_columns(runs) if c.key == "latency_ms"] == [
        ("cost", "min", False)
    ]
    assert [row(run)["latency_ms"] for run in runs] == [None, 2.5]


def test_the_best_of_each_column_is_known_by_the_tasks_direction(tmp_path: Path):
    worse = [{**r, **{k: v * 2 for k, v in r.items() if "/" in k}} for r in ROWS]
    runs = [read_run(make_run(tmp_path / "a")), read_run(make_run(tmp_path / "b", rows=worse))]
    rows = [row(run) for run in runs]
    best = {c.key: best_rows(c, rows) for c in table_columns(runs)}
    assert (best["test/accuracy"], best["test/loss"], best["seconds"]) == ({1}, {0}, set())


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("state=finished", "ac"),
        ("state!=finished", "b"),
        ("optimizer.lr>0.001", "bc"),
        ("optimizer.lr>=1e-3", "abc"),
        ("lr<0.1", "ab"),
        ("optimizer.lr=1e-2", "b"),
        ("val/loss<=2", "ac"),
        ("val/loss!=1", "ab"),
        ("model._target_=*X3D", "ac"),
        ("run=a", "a"),
    ],
)
def test_filter(condition: str, kept: str):
    assert "".join(r["run"] for r, meets in zip(THREE, matches(THREE, condition)) if meets) == kept


@pytest.mark.parametrize(
    ("by", "runs"), [("lr", "abc"), ("lr:desc", "cba"), ("val/loss", "cab"), ("val/loss:desc", "acb"), ("state", "bac")]
)
def test_sort_puts_runs_without_a_value_last_either_way(by: str, runs: str):
    assert "".join(THREE[i]["run"] for i in order(THREE, by)) == runs


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: matches(THREE, "state"), "not a condition"),
        (lambda: matches(THREE, "sate=x"), "did you mean state"),
        (lambda: order(THREE, "lrr"), r"did you mean optimizer\.lr"),
        (lambda: order([{"a.x": 1, "b.x": 2}], "x"), r"it could be a\.x, b\.x"),
    ],
)
def test_a_wrong_key_is_one_line_with_the_remedy(call, words: str):
    with pytest.raises(BadRequest, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_cells_are_short(tmp_path: Path):
    run = read_run(
        make_run(
            tmp_path / "a", config=changed(CONFIG, model___target_="videxp.models.classification.small.SmallCNN3D")
        )
    )
    values = row(run)
    texts = {c.key: cell_text(c, values) for c in table_columns([run])}
    assert (texts["val/accuracy"], texts["seconds"], texts["test/loss"]) == ("0.5000", "12 s", "1.0000")
    assert [duration(s) for s in (5.2, 130, 7261)] == ["5 s", "2 min 10 s", "2 h 01 min"]
    assert short_names([tmp_path / "x/1", tmp_path / "y/1"]) == (str(tmp_path), ["x/1", "y/1"])


def test_the_mean_over_splits_is_of_finished_runs_with_its_sample_deviation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for fold, accuracy in enumerate((0.9, 0.92, 0.97)):
        rows = [{"step": 6, "test/accuracy": accuracy}]
        make_run(tmp_path / f"{fold}", config=changed(CONFIG, dataset__layout__fold=fold + 1), rows=rows)
    make_run(tmp_path / "3", state="failed", rows=[{"step": 2, "test/accuracy": 0.1}])
    assert main(["compare", str(tmp_path)]) == 0
    assert "mean of" not in capsys.readouterr().out
    assert main(["compare", str(tmp_path), "--mean"]) == 0
    *_, mean, left = capsys.readouterr().out.splitlines()
    assert mean == "mean of 3 (0, 1, 2): test/accuracy 0.9300 ± 0.0361"  # statistics.stdev
    assert left == "1 left out: not finished"
    runs = [read_run(tmp_path / "0")]
    assert spread([row(run) for run in runs], table_columns(runs)) == ["test/accuracy 0.9000"]
    assert main(["compare", str(tmp_path), "--mean", "--json"]) == 2


def test_each_experiment_has_its_own_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The mean of cross-entropy and binary cross-entropy, or of a good and a bad learning rate, says nothing."""
    for number, (rate, seed, accuracy) in enumerate([(0.1, 0, 0.9), (0.1, 1, 0.8), (0.2, 0, 0.5)]):
        settings = {"optimizer__lr": rate, "seed": seed, "dataset__seed": seed, "run__group": str(number)}
        settings |= {"dataset__loading__num_workers": seed, "hardware__num_workers": seed}
        make_run(
            tmp_path / str(number), config=changed(CONFIG, **settings), rows=[{"step": 6, "val/accuracy": accuracy}]
        )
    assert main(["compare", str(tmp_path), "--mean"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "mean of 2 (0, 1): val/accuracy 0.8500 ± 0.0707",
        "mean of 1 (2): val/accuracy 0.5000",
    ]


def provenance(*, rate: str = "a", weights: str = "b", data: str = "f1", model: str = "c") -> dict:
    """As training writes it: of what comes from outside there are hashes."""
    return {
        **PROVENANCE,
        "inputs": {
            "variables": {"optimizer.lr": {"names": ["MY_LR"], "hash": rate * 32}},
            "files": {"model.weights": {"path": "w.pt", "sha256": weights * 64}},
        },
        "data": {"name": "digits", "fingerprint": data, "classes_hash": "0"},
        "sources": {"mymodels/tiny.py": model * 16, "videxp/cli.py": "d" * 16},
    }


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"rate": "1"}, "optimizer.lr (MY_LR)"),
        ({"weights": "1"}, "model.weights"),
        ({"data": "f2"}, "data"),
        ({"model": "1"}, "code.mymodels"),
    ],
)
def test_runs_with_different_inputs_are_not_averaged_and_what_differs_is_told(
    other: dict, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Their config.yaml says the same."""
    config = changed(CONFIG, optimizer__lr="${oc.decode:${oc.env:MY_LR}}", model__weights="w.pt")
    for seed, record in enumerate([provenance(), provenance(), provenance(**other)]):
        make_run(tmp_path / str(seed), config={**config, "seed": seed}, provenance=record)
    assert main(["compare", str(tmp_path), "--mean"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[-3:]] == [
        "mean of 2 (0, 1)",
        "mean of 1 (2)",
        "not averaged with one another, as their inputs differ",
    ]
    assert lines[-1].endswith(f": {told}")


def test_other_splits_of_the_same_data_are_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number, (fold, data) in enumerate([(1, "f1"), (2, "f2"), (3, "f3"), (3, "f3")]):
        config = changed(CONFIG, dataset__layout__fold=fold, seed=number)
        make_run(tmp_path / str(number), config=config, provenance=provenance(data=data))
    assert main(["compare", str(tmp_path), "--mean"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("mean of 4 (0, 1, 2, 3)")
