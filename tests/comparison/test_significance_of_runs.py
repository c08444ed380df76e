"""Runs against the first, sample by sample: what is tested, what is refused, and what is said of it."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from tests.conftest import videxp
from tests.runs.made import CONFIG, changed, make_run
from videxp.cli.commands import compare
from videxp.comparison.significance import Significance, compare_runs, significance_lines
from videxp.comparison.table import row, table_columns
from videxp.core.errors import BadRequest
from videxp.runs.reading import read_run


def evaluated(
    path: Path,
    accuracies: Any,
    *,
    losses: Any = None,
    config: Any = None,
    samples: str = "s1",
    names: list[str] | None = None,
    **columns: list[str],
) -> Path:
    """A run with an evaluation.json and predictions."""
    make_run(path, config=config)
    names = names or [f"{i:03d}.mp4" for i in range(len(accuracies))]
    losses = [0.5] * len(names) if losses is None else losses
    (path / "evaluation.json").write_text(json.dumps({"split": "test", "data": {"samples": samples}}))
    with (path / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "path", "label", "accuracy", "loss", *columns])
        writer.writerows(
            zip(range(len(names)), names, ["a"] * len(names), map(int, accuracies), losses, *columns.values())
        )
    return path


def compared(*paths: Path, metric: str | None = None) -> Significance:
    runs = [read_run(path) for path in paths]
    return compare_runs(
        runs, [path.name for path in paths], [row(run) for run in runs], table_columns(runs), metric=metric
    )


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """The second is right in 6 more of 60 videos, and wrong in one that the first has right."""
    first = np.arange(60) % 2 == 0
    second = first | (np.arange(60) % 5 == 1)
    second[58] = False
    other = changed(CONFIG, optimizer__lr=0.1)
    return evaluated(tmp_path / "first", first), evaluated(tmp_path / "second", second, config=other)


def test_two_runs_by_mcnemars_test(two: tuple[Path, Path]):
    found = compared(*two)
    (one,) = found.found
    assert (one.wins, one.losses, one.units, found.unit) == (6, 1, 60, "video")
    assert found.p_values == [pytest.approx(stats.binomtest(6, 7, 0.5).pvalue)]
    assert one.difference == pytest.approx(5 / 60) and found.verdict(0) == "no difference shown"
    lines = significance_lines(found)
    assert lines[0].split()[:3] == ["against", "first", "accuracy"]
    assert lines[1].split() == ["first", "0.5000"] and lines[2].split()[:3] == ["second", "0.5833", "+0.0833"]
    told = " ".join(lines)
    assert "p: McNemar's exact test over 60 videos of test; interval: 10,000 bootstrap resamples" in told
    assert "another seed in training" in told and max(map(len, lines)) <= 80
    backwards = compared(*reversed(two))
    assert backwards.found[0].p == one.p and backwards.found[0].low == -one.high


def test_a_difference_that_chance_seldom_makes_is_better_or_worse(tmp_path: Path):
    rng = np.random.default_rng(0)
    losses = rng.random(50)
    runs = [
        evaluated(tmp_path / name, [1] * 50, losses=losses + shift + 0.05 * rng.random(50), config=config)
        for name, shift, config in (
            ("first", 0.3, CONFIG),
            ("low", 0.1, changed(CONFIG, optimizer__lr=0.1)),
            ("high", 0.6, changed(CONFIG, optimizer__lr=0.2)),
        )
    ]
    found = compared(*runs, metric="test/loss")
    assert not found.more_is_better and [found.verdict(i) for i in (0, 1)] == ["better", "worse"]
    assert {one.test for one in found.found} == {"Wilcoxon's signed-rank test"}
    assert (
        found.p_values == pytest.approx([2 * one.p for one in found.found], rel=0.5)
        and found.p_values[0] > found.found[0].p
    )
    facts = json.loads(json.dumps(found.facts()))
    assert facts["others"][0]["p_of_one"] == found.found[0].p and facts["others"][1]["runs"] == ["high"]
    assert "adjusted for 2 comparisons (Holm)" in facts["notes"][0]


def test_seeds_of_one_experiment_are_one_side_and_are_tested_apart(tmp_path: Path):
    rng = np.random.default_rng(1)
    easy = rng.random(80)
    paths = []
    for lr, skill in ((0.1, 0.6), (0.2, 0.75)):
        for seed in (0, 1, 2):
            config = changed(CONFIG, optimizer__lr=lr, seed=seed, dataset__seed=seed)
            paths.append(evaluated(tmp_path / f"{lr}-{seed}", easy < skill + 0.02 * seed, config=config))
    found = compared(*paths)
    assert [side.names for side in found.sides] == [["0.1-0", "0.1-1", "0.1-2"], ["0.2-0", "0.2-1", "0.2-2"]]
    means = [[(easy < skill + 0.02 * seed).mean() for seed in (0, 1, 2)] for skill in (0.6, 0.75)]
    assert found.over_seeds == [pytest.approx(stats.ttest_ind(*means, equal_var=False).pvalue)]
    assert found.found[0].difference == pytest.approx(np.mean(means[1]) - np.mean(means[0]))
    told = " ".join(significance_lines(found))
    assert "means over the seeds" in told and "Welch's t-test p" in told and "± " in told
    one_seed = compared(*paths[:4])  # a side with one run
    assert "is not tested: it takes two runs or more" in " ".join(significance_lines(one_seed))
    equal = [
        evaluated(tmp_path / f"equal-{lr}-{seed}", easy < 0.5, config=changed(CONFIG, optimizer__lr=lr, seed=seed))
        for lr in (0.3, 0.4)
        for seed in (0, 1)
    ]
    told = " ".join(significance_lines(compared(*equal)))
    assert "is not tested: no seed changes the score on either side" in told and "two runs or more" not in told
    alone = compared(*paths[:2])  # seeds of one experiment against each other
    assert [side.names for side in alone.sides] == [["0.1-0"], ["0.1-1"]]


def test_the_order_of_rows_changes_nothing_and_cuts_of_a_file_are_one_unit(two: tuple[Path, Path]):
    before = compared(*two)
    header, *lines = (two[1] / "predictions.csv").read_text().splitlines()
    (two[1] / "predictions.csv").write_text("\n".join([header, *reversed(lines)]) + "\n")
    assert compared(*two).facts() == before.facts()
    for path in two:
        rows = [line.split(",") for line in (path / "predictions.csv").read_text().splitlines()]
        cuts = [[*rows[0], "recording"], *([*line, f"film{int(line[1][:3]) // 6}"] for line in rows[1:])]
        (path / "predictions.csv").write_text("\n".join(map(",".join, cuts)) + "\n")
    found = compared(*two)
    assert (found.unit, found.found[0].units, found.found[0].samples) == ("recording", 10, 60)
    assert found.found[0].test == "Wilcoxon's signed-rank test"


def test_samples_without_a_score_are_left_out_and_told(tmp_path: Path):
    films = [f"{i}.mp4" for i in range(12)]

    def psnrs(least: int) -> list[str]:
        return [*(str(least + i) for i in range(10)), "", "nan"]

    paths = [
        evaluated(
            tmp_path / name,
            [1] * 12,
            names=films,
            config=config,
            psnr=[str(30 + shift + i) for i in range(10)] + ["", "nan"],
        )
        for name, shift, config in (("first", 0, CONFIG), ("second", 1, changed(CONFIG, optimizer__lr=0.1)))
    ]
    for path in paths:
        (path / "config.yaml").write_text(yaml.safe_dump(changed(CONFIG, task___target_="videxp.tasks.Restoration")))
    found = compared(*paths)
    assert (found.metric, found.left_out, found.found[0].samples) == ("psnr", 2, 10)
    assert "2 samples left out" in " ".join(significance_lines(found))


def test_what_cannot_be_tested_is_refused_with_what_differs(two: tuple[Path, Path], tmp_path: Path):
    names = [f"{i:03d}.mp4" for i in range(1, 61)]
    moved = changed(CONFIG, dataset__root="elsewhere")
    (two[0] / "config.yaml").write_text(yaml.safe_dump(changed(CONFIG, dataset__root="here")))
    other = evaluated(tmp_path / "other", [1] * 60, names=names, samples="s2", config=moved)
    for runs, words in (
        ((two[0],), "needs two runs"),
        ((two[0], make_run(tmp_path / "untested")), "not evaluated yet: videxp evaluate"),
        (
            (two[0], other),
            r"lacks 1 \(000.mp4\) and has 1 others \(060.mp4\)\nEvaluate it on the same: .*other dataset.root=here",
        ),
    ):
        with pytest.raises(BadRequest, match=words):
            compared(*runs)
    with pytest.raises(BadRequest, match="no figure of each sample: there are accuracy, loss"):
        compared(*two, metric="psnr")
    for value, text in ((0, "0"), (1, "1"), (None, "null")):  # true and false are no 1 and 0
        (two[0] / "config.yaml").write_text(yaml.safe_dump(changed(CONFIG, dataset__max_unreadable=value)))
        (other / "config.yaml").write_text(yaml.safe_dump(changed(CONFIG, dataset__max_unreadable=5)))
        with pytest.raises(BadRequest, match=f"Evaluate it on the same: .*other dataset.max_unreadable={text}$"):
            compared(two[0], other)
    fold = changed(CONFIG, dataset__layout__fold=2)
    folds = evaluated(tmp_path / "fold", [1] * 60, names=names, samples="s2", config=fold)
    with pytest.raises(BadRequest, match=r"other splits of the data.*--mean"):
        compared(two[0], folds)
    for suffix, remedy in (("_size=64", "delete it"), ("", f"videxp evaluate {two[1]} writes it anew")):
        damaged = two[1] / f"predictions{suffix}.csv"
        (two[1] / f"evaluation{suffix}.json").write_text((two[1] / "evaluation.json").read_text())
        damaged.write_text("path,acc")
        with pytest.raises(BadRequest, match=f"{damaged}: holds no sample: {remedy}"):
            compared(*two)
    damaged.unlink()
    (two[1] / "predictions_size=64.csv").unlink()
    with pytest.raises(BadRequest, match="no figures of each sample that can be read"):
        compared(*two)
    for arguments, words in (
        (["--metric", "loss"], "goes with --significance"),
        (["--significance", "--csv", "-"], "leave out --csv -"),
    ):
        with pytest.raises(BadRequest, match=words):
            compare.main([str(two[0]), *arguments])


def test_the_command_prints_a_table_or_json(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    compare.main([*map(str, two), "--significance"])
    assert "against first" in capsys.readouterr().out
    compare.main([*map(str, two), "--significance", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [Path(run["run"]).name for run in told["runs"]] == ["first", "second"]
    assert told["significance"]["others"][0]["wins"] == 6


@pytest.mark.slow
def test_a_run_that_was_tested_on_fewer_videos_can_be_evaluated_on_the_same_as_it_is_told(
    restored: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
):
    assert videxp("evaluate", str(restored), cwd=workplace).returncode == 0
    others = ("samples", "wandb", "evaluation_*", "predictions_*")  # of evaluations that other tests made of it
    second = shutil.copytree(restored, workplace / "runs/fewer", ignore=shutil.ignore_patterns(*others))
    config = yaml.safe_load((second / "config.yaml").read_text())
    config["dataset"]["layout"]["test_videos"] = 6
    (second / "config.yaml").write_text(yaml.safe_dump(config))
    evaluation = json.loads((second / "evaluation.json").read_text())
    (second / "evaluation.json").write_text(json.dumps(changed(evaluation, data__samples="others")))
    lines = (second / "predictions.csv").read_text().splitlines(keepends=True)
    (second / "predictions.csv").write_text("".join(lines[:7]))
    arguments = [str(restored), str(second), "--significance"]
    with pytest.raises(BadRequest, match=r"not evaluated on the 11 test samples of .* lacks 5") as refused:
        compare.main(arguments)
    (remedy,) = re.findall(r"(videxp evaluate .*)", str(refused.value))
    done = videxp(*shlex.split(remedy)[1:], cwd=workplace)
    assert done.returncode == 0, done.stderr
    compare.main(arguments)
    told = capsys.readouterr().out
    assert "test over 11 videos of test" in told and "no difference shown" in told
