"""The card of a model says what its run recorded, and what it did not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.conftest import Run, videxp
from videxp.evaluation.axis import ACCURACY
from videxp.evaluation.axis import AXES as MEASURABLE
from videxp.runs.card import AXES, card_text, metric_intervals
from videxp.runs.folder import RunFolder
from videxp.runs.reading import read_run
from videxp.runs.signing import write_signature

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(finished: tuple[Path, Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with figures of 40 videos, of which 30 are right."""
    path = tmp_path_factory.mktemp("card") / "run"
    shutil.copytree(finished[0], path)
    rows = [f"{i},test/{i}.mp4,a,a,0.9,{int(i < 30)}" for i in range(40)]
    (path / "predictions.csv").write_text("\n".join(["index,path,label,predicted,probability,accuracy", *rows]) + "\n")
    weights = json.loads((path / "provenance.json").read_text())["weights"]["best"]
    evaluation = {
        "weights": weights,
        "split": "test",
        "data": {"name": "moving_digits", "samples": "0123456789", "clips": 40, "of": 40},
        "metrics": {"test/accuracy": 0.75, "test/accuracy_top5": 1.0},
        "protocol": "1x1",
        "speed": {"scalars": {"speed/latency_ms": 12.5}, "better": {"speed/latency_ms": "min"}},
    }
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    return path


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """(KEY.pem, PUB.pem)."""
    pytest.importorskip("cryptography", reason="cryptography is not installed: no run's signature is checked")
    from tests.runs.test_signing import put_keys

    return put_keys(tmp_path, "mine")


def test_a_card_says_data_figures_and_what_was_not_measured(run: Path):
    text = card_text(read_run(run), license="CC-BY-4.0")
    told = json.loads((run / "provenance.json").read_text())
    for part in (
        told["data"]["fingerprint"],
        told["weights"]["best"],
        "CC-BY-4.0",
        "| speed/latency_ms | 12.5000 | min |",
    ):
        assert part in text
    assert "- Not measured: robustness, calibration, explanation." in text
    assert "license | not stated" in card_text(read_run(run))


def test_the_interval_of_a_metric_is_that_of_the_binomial(run: Path):
    """Resampling 40 videos, 30 right: mean 0.75, standard error sqrt(0.75 * 0.25 / 40) = 0.0685."""
    found = metric_intervals(RunFolder(run))
    assert set(found) == {"accuracy"}  # no column holds the top-5 of each video
    draws = np.random.default_rng(7).binomial(40, 0.75, 200_000) / 40
    assert found["accuracy"] == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.026)


def test_all_that_can_be_measured_is_missed_where_it_was_not():
    assert set(AXES) == {*MEASURABLE, "calibration"} - {ACCURACY}


def test_verify_tells_weights_config_and_evaluations_that_are_not_those_recorded(
    finished: tuple[Path, Run], keys: tuple[Path, Path], tmp_path: Path
):
    source, cwd = finished[0], finished[0].parents[1]
    good = videxp("verify", str(source), cwd=cwd)
    assert (good.returncode, good.stdout) == (0, f"{source}: as it was recorded\n"), good.stderr

    run = tmp_path / "tampered"
    shutil.copytree(source, run)
    private, public = keys
    write_signature(run, private)
    signed = videxp("verify", str(run), "--key", str(public), cwd=cwd)
    assert signed.returncode == 0 and "that of" in signed.stdout, signed.stdout + signed.stderr
    (run / "checkpoints/best.ckpt").unlink()
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
    (run / "evaluation.json").write_text('{"weights": "abcdef0123", "metrics": {}}')
    bad = videxp("verify", str(run), "--key", str(public), cwd=cwd)
    assert bad.returncode == 1
    for part in (
        "best.ckpt: is missing; weights",
        "config.yaml: config",
        "of other weights (abcdef01)",
        "as it was signed",
    ):
        assert part in bad.stdout, bad.stdout
    none = videxp("verify", str(private), cwd=cwd)
    assert none.returncode == 2 and "no signature" in none.stderr


def test_an_exported_file_has_a_card_and_a_signature_beside_it(
    finished: tuple[Path, Run], keys: tuple[Path, Path], tmp_path: Path
):
    private, public = keys
    file = tmp_path / "weights.safetensors"
    words = ["--format", "safetensors", "-o", str(file), "--license", "CC0-1.0", "--sign", str(private)]
    done = videxp("export", str(finished[0]), *words, cwd=finished[0].parent)
    assert done.returncode == 0, done.stderr
    assert "CC0-1.0" in (tmp_path / "weights.safetensors.card.md").read_text()
    with safe_open(file, framework="numpy") as opened:
        assert opened.metadata()["license"] == "CC0-1.0"
    verify = ["verify", str(file), "--key", str(public)]
    assert videxp(*verify, cwd=tmp_path).returncode == 0
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # one bit of one weight: the file still opens
    file.write_bytes(content)
    bad = videxp(*verify, cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (1, f"{file}: is not as it was signed\n")


def test_a_restored_video_says_which_run_made_it(restored: Path, films: dict[str, Path], tmp_path: Path):
    import av

    done = videxp("predict", str(restored), str(films["bar.mp4"]), "-o", str(tmp_path / "x.mp4"), cwd=restored.parent)
    assert done.returncode == 0, done.stderr
    weights = json.loads((restored / "provenance.json").read_text())["weights"]["best"]
    with av.open(str(tmp_path / "x.mp4")) as file:
        assert file.metadata["comment"] == f"made by videxp 0.1.0, run {restored.name}, weights {weights[:8]}"
