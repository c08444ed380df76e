"""A run's model in a file: it answers as the run does, and nothing is written where it does not."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tests.conftest import videxp
from tests.deploy.test_export_steps import parse
from videxp import config
from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy.compressing.compressing import Settings, compress_run, lineage, result_lines
from videxp.deploy.exporting.exporting import Limits, export_run
from videxp.deploy.exporting.network import config_of
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.package import KEY, MOST_BYTES, Package, is_exported
from videxp.deploy.exporting.parity import compare_answers, require_parity
from videxp.deploy.exporting.runs import describe, load
from videxp.deploy.exporting.writing import set_package
from videxp.runs.folder import RunFolder, open_run
from videxp.tasks.building import load_task
from videxp.transforms import EvalTransform
from videxp.video import write_video

pytestmark = pytest.mark.slow


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def models(finished: tuple[Path, object], workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a Triton server."""
    folder = tmp_path_factory.mktemp("exported") / "made" / "for"
    words = ["--format", "triton", "-o", str(folder), "--clips", "4", "--license", "CC BY 4.0"]
    done = videxp("export", str(finished[0]), *words, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert f"--model-repository={folder}" in done.stdout
    assert "takes clip uint8 [batch, frames, height, width, 3]" in done.stdout
    assert (
        "4 test clips, and one of them at 3 other sizes, beside the run: scores within" in done.stdout
        and "of the file" in done.stdout
    )
    return folder


@pytest.fixture(scope="module")
def file(models: Path, finished: tuple[Path, object]) -> Path:
    """The ONNX file in it, which is what --format onnx writes."""
    return models / finished[0].name / "1/model.onnx"


def test_a_file_says_what_it_is(file: Path, finished: tuple[Path, object]):
    package = open_exported(file).package
    provenance = json.loads((finished[0] / "provenance.json").read_text())
    assert package.kind == "Classification" and package.run_id == finished[0].name
    assert package.data_fingerprint == provenance["data"]["fingerprint"] and len(package.classes) == 10
    assert package.license == "CC BY 4.0" and not package.fixed_axes
    assert package.parity["outputs"]["scores"]["max_abs"] < 1e-5 and package.parity["clips"] == 4
    assert {*package.parity["metrics"]} == {"test/accuracy", "test/loss"}
    assert {one.name for one in file.parent.iterdir()} == {file.name, f"{file.name}.card.md"}


def test_a_file_labels_videos_and_is_evaluated_as_its_run_is(
    file: Path, finished: tuple[Path, object], workplace: Path, films: dict[str, Path]
):
    run, videos = str(finished[0]), [str(films["bar.mp4"]), str(films["wide.mp4"])]
    by_run, by_file = (json.loads(videxp("predict", of, *videos, cwd=workplace).stdout) for of in (run, str(file)))
    assert len(by_run) == 2
    for ours, theirs in zip(by_run, by_file, strict=True):
        assert ours["path"] == theirs["path"] and ours["label"] == theirs["label"]
        assert theirs["probabilities"] == pytest.approx(ours["probabilities"], abs=1e-5)

    whole = videxp("evaluate", run, "--json", "--split", "val", cwd=workplace)
    result = json.loads(videxp("evaluate", str(file), "--json", "--split", "val", cwd=workplace).stdout)
    assert result["metrics"] == pytest.approx(json.loads(whole.stdout)["metrics"], abs=1e-5)
    assert result["data"]["is_of_run"] and result["protocol"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["evaluate", "FILE", "--on", "robustness"], "--on is for runs"),
        (["evaluate", "FILE", "--temperature"], "--temperature is for runs"),
        (["evaluate", "FILE", "dataset.rot=x"], "dataset.rot"),
        (["predict", "FILE", "none.mp4"], "none.mp4"),
        (["predict", "no.onnx", "none.mp4"], "no.onnx: no such file"),
    ],
)
def test_what_a_file_cannot_do_is_told_in_a_line_or_two(command: list[str], said: str, file: Path, workplace: Path):
    done = videxp(*[str(file) if word == "FILE" else word for word in command], cwd=workplace)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) <= 3, done.stderr


def test_a_file_restores_videos_as_its_run_does(
    restored: Path, workplace: Path, tmp_path: Path, films: dict[str, Path]
):
    file = tmp_path / "made" / "for" / "restorer.pt2"
    done = videxp("export", str(restored), "--format", "torch", "-o", str(file), "--clips", "2", cwd=workplace)
    assert done.returncode == 0, done.stderr
    for name, of in (("run.mp4", str(restored)), ("file.mp4", str(file))):
        done = videxp("predict", of, str(films["bar.mp4"]), "-o", str(tmp_path / name), "--crf", "0", cwd=workplace)
        assert done.returncode == 0, done.stderr
    assert {one.name for one in file.parent.iterdir()} == {file.name, f"{file.name}.card.md"}
    ours, theirs = (decoded(tmp_path / name) for name in ("run.mp4", "file.mp4"))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 0.01


def test_a_run_becomes_a_model_of_a_triton_server(models: Path, finished: tuple[Path, object], workplace: Path):
    (model,) = models.iterdir()  # nothing else that a server would take for one
    assert model.name == finished[0].name
    assert {one.name for one in (model / "1").iterdir()} == {"model.onnx", "model.onnx.card.md"}
    config = parse((model / "config.pbtxt").read_text())
    assert config["name"] == [model.name] and config["max_batch_size"] == ["8"]
    assert config["input"] == [{"name": ["clip"], "data_type": ["TYPE_UINT8"], "dims": ["-1", "-1", "-1", "3"]}]
    assert [one["name"] for one in config["output"]] == [["scores"], ["logits"]]

    command = ["export", str(finished[0]), "--format", "triton", "-o", str(models)]
    again = videxp(*command, cwd=workplace)
    assert again.returncode == 2 and f"{model}: is there already; give another folder with -o" in again.stderr
    refused = videxp(*command, "--overwrite", cwd=workplace)
    assert refused.returncode == 2 and "--overwrite is for files" in refused.stderr


def test_a_config_that_names_other_packages_builds_nothing(file: Path, tmp_path: Path):
    package = open_exported(file).package
    hostile = replace(package, config=package.config.replace("torch.optim", "subprocess"))
    assert hostile != package
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {KEY: hostile.to_json()})
    onnx.save(model, tmp_path / "hostile.onnx")
    with pytest.raises(BadRequest, match="subprocess is not on the list of packages to build from"):
        config_of(open_exported(tmp_path / "hostile.onnx"))


def test_a_run_folder_may_be_called_as_a_file_is(tmp_path: Path):
    (tmp_path / "run.onnx").mkdir()
    assert not is_exported(tmp_path / "run.onnx")
    assert is_exported(tmp_path / "file.onnx") and not is_exported(tmp_path / "run")  # there or not


def test_what_a_file_says_of_itself_is_bounded():
    with pytest.raises(BadRequest, match="refused: what it says of itself takes"):
        Package.from_json(" " * (MOST_BYTES + 1), path=KEY)


def test_frames_of_any_size_are_cut_and_normalized_in_the_graph_and_without_that_the_answer_is_another(file: Path):
    exported = open_exported(file, threads=1)
    clip = np.random.default_rng(0).integers(0, 256, (2, 8, 50, 70, 3), dtype=np.uint8)
    scores = exported(clip=clip)["scores"]
    assert scores.shape == (2, 10)
    torch.testing.assert_close(scores.sum(1), torch.ones(2))
    whole = exported(clip=clip[:, :, :, 10:60])["scores"]  # what is beside the centered square is not looked at
    torch.testing.assert_close(scores, whole, atol=1e-5, rtol=0)
    assert (exported(clip=clip // 2)["scores"] - scores).abs().max() > 1e-4  # as where levels were scaled otherwise
    with pytest.raises(VidexpError, match=r"clip is \[8, 50, 70, 3\], the file takes"):
        exported(clip=clip[0])


def test_a_file_of_other_weights_differs_from_the_run_and_is_refused_where_nobody_says_so(file: Path, tmp_path: Path):
    package = open_exported(file).package
    model = onnx.load(file)
    weights = max(model.graph.initializer, key=lambda one: np.prod(one.dims))
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.05), weights.name))
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(BadRequest, match="refused: the numbers in it are not those that were written"):
        open_exported(tmp_path / "changed.onnx")
    set_package(tmp_path / "changed.onnx", "onnx", package)
    clip = np.random.default_rng(0).integers(0, 256, (1, 8, 40, 40, 3), dtype=np.uint8)
    ours, theirs = (
        {n: v.numpy() for n, v in open_exported(p)(clip=clip).items()} for p in (file, tmp_path / "changed.onnx")
    )
    require_parity(compare_answers([ours], [ours]), file=file)
    with pytest.raises(VidexpError, match="not written: on 1 test clips its"):
        require_parity(compare_answers([ours], [theirs]), file=file)


def test_weights_in_another_file_are_refused(file: Path, tmp_path: Path):
    model = onnx.load(file)
    onnx.save_model(model, tmp_path / "two.onnx", save_as_external_data=True, location="two.bin", size_threshold=0)
    with pytest.raises(BadRequest, match="refused: its weights lie in another file"):
        open_exported(tmp_path / "two.onnx")
    (tmp_path / "no.onnx").write_bytes(b"\x00nothing of the kind")
    with pytest.raises(BadRequest, match="no ONNX file, or a damaged one"):
        open_exported(tmp_path / "no.onnx")


def test_a_file_of_another_program_is_refused(file: Path, tmp_path: Path):
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "plain.onnx")
    with pytest.raises(BadRequest, match="refused: no file of videxp export"):
        open_exported(tmp_path / "plain.onnx")
    with pytest.raises(BadRequest, match="unknown: code"):
        Package.from_json(json.dumps({"format": 1, "code": "print()"}), path=KEY)


def test_the_graphs_preparation_is_the_transforms():
    transform = EvalTransform(size=32, resize=36)
    preparation = transform.preparation()
    clip = torch.randint(0, 256, (2, 3, 36, 60, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    video = transform({"clip": clip, "index": torch.arange(2)})["video"]
    torch.testing.assert_close(preparation(clip), video, atol=1e-6, rtol=0)
    torch.testing.assert_close(preparation(preparation.undone(video)), video, atol=1e-6, rtol=0)
    large = torch.rand(1, 2, 9, 12, 3, generator=torch.Generator().manual_seed(1)).mul(255).to(torch.uint8)
    large = large.repeat_interleave(8, 2).repeat_interleave(8, 3)
    there = transform({"clip": large, "index": torch.arange(1)})["video"]
    assert (preparation(large) - there).abs().mean() < 0.02


def test_a_file_answers_a_stream_as_its_run_does(file: Path, finished: tuple[Path, object], tmp_path: Path):
    clips = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    write_video(film := tmp_path / "a.mp4", clips, fps=25)
    lines = []
    for source in (str(file), str(finished[0])):
        done = videxp("stream", source, str(film), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        lines.append([line for line in map(json.loads, done.stdout.splitlines()) if "label" in line])
    assert len(lines[0]) == len(lines[1]) == 5
    for ours, theirs in zip(*lines):
        assert (ours["frame"], ours["label"]) == (theirs["frame"], theirs["label"])
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=2e-6)


@pytest.mark.parametrize("there", ["digits.xml", "digits.bin"])
def test_neither_file_of_openvino_is_replaced_unasked(
    there: str, finished: tuple[Path, object], workplace: Path, tmp_path: Path
):
    (tmp_path / there).write_bytes(b"of someone else")
    command = ["export", str(finished[0]), "--format", "openvino", "-o", str(tmp_path / "digits.xml")]
    done = videxp(*command, cwd=workplace)
    assert done.returncode == 2 and f"{there} is there already" in done.stderr, done.stderr
    assert (tmp_path / there).read_bytes() == b"of someone else"


def test_the_commit_is_of_the_folder_that_the_run_was_started_in(
    finished: tuple[Path, object], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    run = open_run(str(finished[0]))
    cfg = config.load_resolved(run.config)
    task, datamodule = load_task(cfg, run.checkpoint()), config.build(cfg.dataset)
    told = json.loads(run.provenance.read_text()) | {"code": {"commit": "1a2b3c", "dirty": False}}
    (tmp_path / run.provenance.name).write_text(json.dumps(told))
    assert describe(RunFolder(tmp_path), cfg, task, datamodule).commit == "1a2b3c"
    assert describe(RunFolder(tmp_path), cfg, task, datamodule).license == "not stated"


def test_time_that_is_up_is_told_and_leaves_no_file(
    finished: tuple[Path, object], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    run = open_run(str(finished[0]))
    loaded = load(run, config.load_resolved(run.config))
    limits, output = Limits(clips=1, seconds=0.2), tmp_path / "digits.onnx"
    with pytest.raises(VidexpError, match=r"not done after 0\.\d+ s; a longer --time-limit may help"):
        export_run(loaded, kind="onnx", output=output, limits=limits, say=print)
    assert not [*tmp_path.iterdir()]


@pytest.mark.filterwarnings("ignore:.*(does not have many workers|litlogger|LeafSpec)")
def test_an_int8_folder_tells_where_it_comes_from_and_what_it_is_like(
    finished: tuple[Path, object], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    run = open_run(str(finished[0]))
    settings = Settings(clips=6, min_share=0.9, min_channels=8)
    loaded = load(run, config.load_resolved(run.config))
    origin = lineage(loaded, asdict(settings))
    found = compress_run(loaded, output=tmp_path / "two", settings=settings, origin=origin, seconds=0.2, time_limit=120)
    assert json.loads((tmp_path / "two" / "compression.json").read_text()) == json.loads(json.dumps(found))

    own, two = (json.loads((folder / "provenance.json").read_text()) for folder in (run.path, tmp_path / "two"))
    assert found["parent"]["run_id"] == run.path.name and found["settings"]["min_channels"] == 8
    assert two["weights"]["best"] == own["weights"]["best"] and two["compressed"]["parent"] == found["parent"]

    package = open_exported(tmp_path / "two" / "int8.onnx").package
    assert package.quantization is not None and package.quantization["layers"]["share"] == 1
    assert package.quantization["calibration"]["clips"] == 6
    assert package.quantization["calibration"]["data_fingerprint"] == package.data_fingerprint
    before, after = package.parity["metrics"]["test/loss"]
    assert 0 < abs(before - after) < 0.1 * before
    paired = found["metrics"]["int8"]["loss"]["paired"]
    assert paired["low"] <= after - before + 1e-5 and after - before - 1e-5 <= paired["high"]
    assert found["bytes"]["int8"] < found["bytes"]["onnx"] and found["times"]["torch"]["faster"] == 1
    assert max(map(len, result_lines(found))) <= 80

    tested = videxp("evaluate", str(tmp_path / "two" / "int8.onnx"), "--json", cwd=workplace)
    assert json.loads(tested.stdout)["metrics"]["test/loss"] == pytest.approx(after, abs=1e-4)
    assert videxp("compare", str(run.path), str(tmp_path / "two"), cwd=workplace).returncode == 0
