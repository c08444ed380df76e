"""Records: mean and spread over seeds, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.runs.made import CONFIG, PROVENANCE, ROWS, changed, make_run
from videxp.core.errors import BadRequest
from videxp.runs.reading import Run, read_run
from videxp.runs.record import (
    BEGIN,
    END,
    build_record,
    read_records,
    recipe_of,
    refuse_unfit,
    table,
    with_table,
    write_record,
)


def seed_run(folder: Path, seed: int, *, accuracy: float = 0.5, provenance: Any = None, **status: Any) -> Run:
    rows = [*ROWS[:-1], {**ROWS[-1], "test/accuracy": accuracy}]
    config = changed(CONFIG, seed=seed, dataset__seed=seed)
    return read_run(make_run(folder / f"seed{seed}", config=config, rows=rows, provenance=provenance, **status))


def record_of(runs: list[Run]) -> dict[str, Any]:
    return build_record(runs, recipe="mine/tiny", recipe_hash="abc", about="Tiny")


def test_a_record_holds_each_seed_mean_and_spread_code_machine_and_time(tmp_path: Path):
    runs = [seed_run(tmp_path, seed, accuracy=accuracy) for seed, accuracy in ((1, 0.5), (0, 0.25), (2, 0.75))]
    record = record_of(runs)
    assert record["metrics"]["test/accuracy"] == {
        "mean": 0.5,
        "std": 0.25,
        "better": "max",
        "per_seed": {"0": 0.25, "1": 0.5, "2": 0.75},
    }
    assert list(record["metrics"]) == ["test/accuracy", "test/loss"]
    first = record["runs"][0]
    assert (first["seed"], first["commit"], first["seconds"]) == (0, "0123456789abcdef", 12.5)
    assert first["hardware"] == "1 x CPU (Some CPU, 2 cores), 32-true"
    assert record_of(runs[:1])["metrics"]["test/accuracy"]["std"] is None


DIRTY = {**PROVENANCE, "code": {"commit": "0", "diff": "diff --git a/videxp/x.py b/videxp/x.py\n+1", "untracked": {}}}
RECORDED = {**PROVENANCE, "code": {"commit": "0", "diff": "diff --git a/experiments/README.md b/experiments/README.md"}}
OTHER_DATA = {**PROVENANCE, "data": {"fingerprint": "f2"}}


def test_unfit_runs_are_refused_each_in_a_line_with_the_reason(tmp_path: Path):
    good = seed_run(tmp_path, 0)
    refuse_unfit([good, seed_run(tmp_path, 1, provenance=RECORDED)], allow_dirty=False)
    refused = {
        "is failed (RuntimeError: x); only finished runs": seed_run(
            tmp_path, 2, state="failed", cause="RuntimeError: x"
        ),
        r"not committed \(videxp/x.py\); --allow-dirty": seed_run(tmp_path, 3, provenance=DIRTY),
        "different data": seed_run(tmp_path, 4, provenance=OTHER_DATA),
        "the same seed, 0": seed_run(tmp_path / "again", 0),
    }
    for words, run in refused.items():
        with pytest.raises(BadRequest, match=words.replace("(R", r"\(R").replace("x);", r"x\);")) as caught:
            refuse_unfit([good, run], allow_dirty=False)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(BadRequest) as caught:
        refuse_unfit(list(refused.values()), allow_dirty=False)
    assert len(str(caught.value).splitlines()) <= 3


def test_runs_at_another_rate_from_the_environment_are_not_recorded_as_one(tmp_path: Path):
    """Their config.yaml says the same."""

    def provenance(digest: str) -> dict:
        variables = {"optimizer.lr": {"names": ["MY_LR"], "hash": digest * 32}}
        data = {"fingerprint": "f1", "classes_hash": "0"}
        return {**PROVENANCE, "inputs": {"variables": variables, "files": {}}, "sources": {}, "data": data}

    runs = [seed_run(tmp_path, seed, provenance=provenance(digest)) for seed, digest in enumerate("aab")]
    refuse_unfit(runs[:2], allow_dirty=False)
    with pytest.raises(BadRequest, match=r"another optimizer.lr \(MY_LR #a+ and MY_LR #b+\): give runs of one"):
        refuse_unfit(runs, allow_dirty=False)


def test_uncommitted_code_that_is_allowed_is_named_in_the_record_and_marked_in_the_table(tmp_path: Path):
    run = seed_run(tmp_path, 0, provenance=DIRTY)
    refuse_unfit([run], allow_dirty=True)
    record = record_of([run])
    assert record["runs"][0]["uncommitted"] == ["videxp/x.py"]
    assert "| 0+ |" in table({Path("x"): record})


def test_the_recipe_is_read_from_the_runs_own_record(tmp_path: Path):
    assert recipe_of(seed_run(tmp_path, 0)) == "mine/tiny"
    assert recipe_of(seed_run(tmp_path, 1, provenance={**PROVENANCE, "recipe": "other/one"})) == "other/one"
    with pytest.raises(BadRequest, match="does not say from which recipe"):
        recipe_of(seed_run(tmp_path, 2, provenance={"command": ""}))


def test_the_table_is_rebuilt_from_all_records_and_the_text_around_it_is_kept(tmp_path: Path):
    experiments = tmp_path / "experiments"
    record = record_of([seed_run(tmp_path, 0, accuracy=0.25), seed_run(tmp_path, 1, accuracy=0.75)])
    write_record(experiments / "mine/tiny.json", record, experiments=experiments)
    readme = experiments / "README.md"
    assert "Tiny | test/accuracy 0.5000 ± 0.3536<br>test/loss 1.0000 ± 0.0000 | 0, 1 | 12 s |" in readme.read_text()
    readme.write_text(readme.read_text() + "\nA word of mine.\n")
    other = {**record, "recipe": "mine/other"}
    write_record(experiments / "mine/other.json", other, experiments=experiments)
    text = readme.read_text()
    assert text.count("| [mine/") == 2
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.endswith("A word of mine.\n")
    assert set(read_records(experiments)) == {experiments / "mine/tiny.json", experiments / "mine/other.json"}
    assert with_table("Only text.", "T\n") == f"Only text.\n\n{BEGIN}\nT\n{END}\n"
