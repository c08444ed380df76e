"""The page as text: what is put into it, and what is kept out."""

import json
import math
import re
from pathlib import Path

from tests.runs.made import CONFIG, ROWS, changed, make_run
from videxp.comparison.page import Page, build_page, thinned
from videxp.comparison.table import row, table_columns
from videxp.runs.reading import read_run


def page_of(*paths: Path, max_sample_bytes: int = 10_000) -> tuple[Page, dict]:
    runs = [read_run(path) for path in paths]
    page = build_page(runs, [row(run) for run in runs], table_columns(runs), max_sample_bytes=max_sample_bytes)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)
    assert found
    return page, json.loads(found[1])


def test_text_from_a_run_can_not_end_the_data_or_name_a_part_of_the_page(tmp_path: Path):
    evil = "</script><script>alert(1)</script>@@SCRIPT@@"
    page, data = page_of(make_run(tmp_path / "a", config=changed(CONFIG, name=evil), state="failed", cause=evil))
    assert data["runs"][0]["trouble"] == evil
    assert data["common"]["name"] == evil
    assert page.html.count("<script") == 2
    assert page.html.count("alert(1)") == 2  # both within the data


def test_a_page_refers_to_nothing_outside_itself(tmp_path: Path):
    page, _ = page_of(make_run(tmp_path / "a"))
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", page.html) == []
    assert "default-src 'none'" in page.html


def test_values_that_are_no_numbers_break_a_curve_and_sort_last(tmp_path: Path):
    rows = [*ROWS, {"step": 8, "epoch": 1, "clips_seen": 64, "val/loss": math.nan, "train/loss": math.inf}]
    _, data = page_of(make_run(tmp_path / "a", rows=rows), make_run(tmp_path / "b"))
    assert data["runs"][0]["curves"]["val/loss"] == [[4, 6, 8], [0, 1, 1], [32, 48, 64], [1.5, 1.25, None]]
    place = [(c["label"], c["kind"]) for c in data["columns"]].index(("val/loss", "last"))
    assert data["runs"][0]["cells"][place] == {"text": "nan", "by": None, "full": "NaN", "best": False}


def test_classes_are_those_of_an_evaluation_that_can_be_read(tmp_path: Path):
    rows = [
        {"class": "</script>", "videos": 3, "average_precision": 0.5},
        {"class": "b", "videos": 0, "average_precision": None},
    ]
    texts = {"a": json.dumps({"classes": rows}), "b": '{"classes": [{"class"', "c": "[]", "d": '{"classes": [3]}'}
    for name, text in texts.items():
        (make_run(tmp_path / name) / "evaluation.json").write_text(text)
    page, data = page_of(*(tmp_path / name for name in texts), make_run(tmp_path / "e"))
    assert page.html.count("</script") == 2
    assert [(run["classScore"], len(run["classes"])) for run in data["runs"]] == [("average precision", 2)] + [
        ("", 0)
    ] * 4
    assert data["runs"][0]["classes"][1] == {"name": "b", "videos": 0, "value": None}


def test_classes_are_those_of_another_protocol_where_the_runs_own_was_not_evaluated(tmp_path: Path):
    run = make_run(tmp_path / "a")
    for name in ("10x3", "vid4_10x3", "val"):
        rows = [{"class": name, "videos": 3, "accuracy": 0.5}]
        (run / f"evaluation_{name}.json").write_text(json.dumps({"classes": rows}))
    found = page_of(run)[1]["runs"][0]
    assert (found["classScore"], found["classes"][0]["name"]) == ("accuracy 10x3", "10x3")
    (run / "evaluation.json").write_text(json.dumps({"classes": [{"class": "own", "videos": 3, "accuracy": 0.5}]}))
    found = page_of(run)[1]["runs"][0]
    assert (found["classScore"], found["classes"][0]["name"]) == ("accuracy", "own")


def test_robustness_is_that_of_an_evaluation_that_can_be_read(tmp_path: Path):
    def figures(*values: float) -> dict:
        return {str(severity): {"value": value} for severity, value in zip((1, 3), values)}

    section = {"protocol": "yi2021", "metric": "accuracy", "samples": "1a2b3c4d5e", "clean": {"value": 0.9}}
    section["figures"] = {"fog": figures(0.7, 0.5), "rain": figures(0.5, 0.1)}
    sections = {"a": section, "b": {**section, "figures": {}}, "c": {"does_not_apply": "why"}, "d": [3]}
    for name, one in sections.items():
        (make_run(tmp_path / name) / "evaluation.json").write_text(json.dumps({"robustness": one}))
    found = [run["robustness"] for run in page_of(*(tmp_path / name for name in sections))[1]["runs"]]
    assert found[1:] == [None] * 3
    curves = found[0].pop("curves")
    assert found[0] == {"protocol": "yi2021", "metric": "accuracy", "samples": "1a2b3c4d"}
    assert curves["rain"] == [[0, 0.9], [1, 0.5], [3, 0.1]]
    assert curves["mean of all"] == [[0, 0.9], [1, 0.6], [3, 0.3]]


def test_the_page_names_no_folder_above_the_runs(tmp_path: Path):
    samples = make_run(tmp_path / "rates/0000") / "samples"
    samples.mkdir()
    (samples / "clip.mp4").write_bytes(bytes(10))
    page, data = page_of(tmp_path / "rates/0000", make_run(tmp_path / "rates/0001"), max_sample_bytes=1)
    assert data["where"] == "rates"
    assert data["leftOut"] == ["0000/samples/clip.mp4"]
    assert str(tmp_path) not in page.html


def test_rates_and_what_a_sweep_draws_logarithmically_are_compared_by_ratio(tmp_path: Path):
    space = "space: {model.width: 'tag(log,interval(8,64))', model.depth: 'interval(1,4)'}\nmetrics: {}\n"
    folders = []
    for i in (1, 2):
        settings = {"model__width": 8 * i, "model__depth": i, "optimizer__lr": i / 10, "task__optimizer__base_lr": i}
        folders.append(make_run(tmp_path / str(i), config=changed(CONFIG, task__layer_decay=i / 4, **settings)))
    (tmp_path / "sweep.yaml").write_text(space)
    columns = {column["label"]: column["log"] for column in page_of(*folders)[1]["columns"]}
    assert {key for key, log in columns.items() if log} == {
        *("model.width", "optimizer.lr", "task.optimizer.base_lr"),
    }
    assert columns["model.depth"] is columns["task.layer_decay"] is False


def test_samples_fit_the_limit_and_links_out_of_the_run_are_none(tmp_path: Path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    for name, size in (("a", 10), ("b", 30)):
        samples = make_run(tmp_path / name) / "samples"
        samples.mkdir()
        (samples / "x.png").write_bytes(bytes(size))
        (samples / "notes.txt").write_text("no sample")
        (samples / "link.png").symlink_to(secret)
    page, data = page_of(tmp_path / "a", tmp_path / "b", max_sample_bytes=25)
    assert [[sample["name"] for sample in run["samples"]] for run in data["runs"]] == [["x.png"], []]
    assert (page.samples, page.left_out) == (1, ["b/samples/x.png"])


def test_a_long_curve_is_thinned_and_keeps_its_peaks():
    values = [math.sin(i / 500) for i in range(10_000)]
    values[1234], values[7777] = 9.0, -9.0
    kept = thinned(values, points=100)
    assert len(kept) <= 100
    assert {1234, 7777} <= set(kept)
    assert 1234 not in range(0, 10_000, 100)  # every hundredth would have lost it
    assert thinned([1.0, 2.0], points=100) == [0, 1]
