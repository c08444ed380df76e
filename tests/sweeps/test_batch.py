"""Many files predicted by jobs: the same outputs as without, nothing done twice, nothing half, failures listed."""

import json
import os
import re
import shutil
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import av
import pytest

from tests.conftest import Run, clean_environment, videxp
from tests.films import copy_apart
from tests.sweeps.slurm_cluster import Cluster
from videxp.config import compose_launcher
from videxp.core.errors import BadRequest
from videxp.deploy.parts import InputPart, jobs_folder
from videxp.sweeps.batch import Batch, carry_out_shard


@pytest.fixture
def videos(tmp_path: Path, films: dict[str, Path]) -> Path:
    """Three that can be read, and one that cannot."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        copy_apart(films["bar.mp4"], folder / name, mark=name)
    shutil.copy(films["broken.mp4"], folder / "d.mp4")
    return folder


def test_a_launcher_is_composed_without_a_recipe_and_a_typo_is_refused():
    node = compose_launcher(["launcher=slurm", "launcher.jobs=3", "launcher.partition=low"])
    assert (node.jobs, node.partition, node.array) == (3, "low", True)
    for words, told in (
        (["launcher=slrum"], "did you mean slurm"),
        (["launcher=local", "launcher.job=2"], "did you mean jobs"),
        (["launcher=local", "launcher.jobs=0"], "jobs"),
        (["launcher.jobs=2"], "launcher=NAME"),
    ):
        with pytest.raises(BadRequest, match=told):
            compose_launcher(words)


def test_a_part_is_done_again_only_where_input_weights_options_or_output_are_others(tmp_path: Path):
    source, output = tmp_path / "a.mp4", tmp_path / "out/a.mp4"
    source.write_bytes(b"one")
    part = InputPart(source, {"output": str(output)}, [output])

    def batch(*, weights: str = "w", settings: str = "s") -> Batch:
        return Batch(tmp_path / "out.jobs", [part], weights, settings)

    def work() -> None:
        def predict(options: Namespace) -> int:
            options.output.parent.mkdir(exist_ok=True)
            options.output.write_bytes(b"made")
            return 0

        shard = {"folder": str(tmp_path / "out.jobs"), "parts": [(str(source), part.settings)]}
        carry_out_shard(shard, Namespace(inputs=[], output=Path("x")), check=lambda options: None, predict=predict)

    assert batch().to_do(overwrite=False) == [part]
    output.parent.mkdir()
    output.write_bytes(b"whole, but its job was killed before it could say so")
    assert batch().to_do(overwrite=False) == [part]  # its own, so it is not refused
    work()
    assert batch().to_do(overwrite=False) == [] and batch().failed() == {}
    for other in (batch(weights="v"), batch(settings="t")):
        with pytest.raises(BadRequest, match="is there already"):
            other.to_do(overwrite=False)
    output.unlink()
    (half := output.with_name(".a-12345678.mp4")).write_bytes(b"half")  # as a kill within its writing leaves it
    assert batch().to_do(overwrite=False) == [part]
    assert not half.exists()
    work()
    source.write_bytes(b"two")
    assert batch().to_do(overwrite=True) == [part]


@pytest.mark.slow
def test_jobs_of_this_machine_label_what_one_process_does_and_do_nothing_twice(
    finished: tuple[Path, Run], videos: Path, tmp_path: Path
):
    run = str(finished[0])
    alone = videxp("predict", run, "videos/*.mp4", "-o", "alone.json", cwd=tmp_path)
    words = ["predict", run, "videos/*.mp4", "-o", "labels.json", "launcher=local", "launcher.jobs=2"]
    done = videxp(*words, cwd=tmp_path)
    assert (alone.returncode, done.returncode) == (1, 1), done.stdout + done.stderr
    assert (tmp_path / "labels.json").read_bytes() == (tmp_path / "alone.json").read_bytes()
    assert "3 of 4 inputs -> labels.json" in done.stdout and "videos/d.mp4" in done.stderr
    (output,) = re.findall(r"see (labels.json.jobs/\S+)", done.stderr)
    assert "videos/d.mp4: unreadable video" in (tmp_path / output).read_text()

    labels = tmp_path / "labels.json.jobs/labels"
    before = {file.name: file.stat().st_mtime_ns for file in labels.iterdir()}
    shutil.copy(videos / "a.mp4", videos / "d.mp4")
    again = videxp(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 of 4 are done already" in again.stdout
    changed = {file.name for file in labels.iterdir() if before.get(file.name) != file.stat().st_mtime_ns}
    assert len(changed) == 1
    other = videxp(*words, "--threshold", "0.5", cwd=tmp_path)
    assert other.returncode == 2 and "labels.json: is there already" in other.stderr  # of other options
    assert all("error" not in one for one in json.loads((tmp_path / "labels.json").read_text()))


@pytest.mark.slow
def test_an_array_of_a_real_slurm_restores_what_one_process_does(
    restored: Path, videos: Path, tmp_path: Path, slurm: Cluster
):
    (videos / "d.mp4").unlink()
    alone = videxp("predict", str(restored), "videos", "-o", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    place = {**clean_environment(tmp_path), **slurm.environment, "OMP_NUM_THREADS": "1"}
    words = ["launcher=slurm", "launcher.jobs=2", "launcher.gpus=0", "launcher.cpus=1", "launcher.time=10"]
    done = videxp("predict", str(restored), "videos", "-o", "out", *words, cwd=tmp_path, **place)
    logs = [file.read_text()[-500:] for file in tmp_path.glob("out.jobs/**/*") if file.suffix in (".out", ".txt")]
    assert done.returncode == 0, (done.stdout + done.stderr, logs)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert "job" in done.stdout and "_1" in done.stdout  # of an array
    with av.open(str(tmp_path / "out/a.mp4")) as file:
        assert f"run {restored.name}" in file.metadata["comment"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: predicting on it is not checked")
def test_a_real_ray_labels_what_one_process_does(finished: tuple[Path, Run], videos: Path, tmp_path: Path):
    (videos / "d.mp4").unlink()
    run = str(finished[0])
    assert videxp("predict", run, "videos", "-o", "alone.json", cwd=tmp_path).returncode == 0
    done = videxp("predict", run, "videos", "-o", "labels.json", "launcher=ray", "launcher.jobs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "labels.json").read_bytes() == (tmp_path / "alone.json").read_bytes()


def test_work_that_writes_nothing_is_refused():
    with pytest.raises(BadRequest, match="add -o OUT"):
        jobs_folder(Namespace(output=None))
    assert jobs_folder(Namespace(output=Path("x/out"))) == Path("x/out.jobs")
    assert os.fspath(jobs_folder(Namespace(outputs=["{stem}.json"], split=None))) == "{stem}.json.jobs"
