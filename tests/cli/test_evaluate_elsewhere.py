"""`videxp evaluate RUN dataset=NAME`: a run on data that it was not trained for."""

import csv
import json
import shutil
import struct
from pathlib import Path

import pytest
import torch

from tests.conftest import Run, videxp
from tests.films import Put, copy_apart, module
from tests.metrics.test_published_bicubic import PUBLISHED, VID4
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, ManifestFile
from videxp.evaluation.results import change_text
from videxp.evaluation.samples import choose_samples, order_classes
from videxp.models.restoration.spynet import SPyNet
from videxp.runs.evaluation_files import EvaluatedData, data_changes, free_paths, result_path, short_hash
from videxp.runs.folder import RunFolder, write_json
from videxp.runs.provenance import Sample, save_samples


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def gestures(finished: tuple[Path, Run], workplace: Path) -> Path:
    """Another data set of the same classes: two clips of each."""
    here = sorted(path for path in workplace.glob("data/moving_digits/*/test/*") if path.is_dir())
    for folder in here:
        for split in ("train", "test"):
            (workplace / "gestures" / split / folder.name).mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.mp4"))[:2]:
                copy_apart(path, workplace / "gestures" / split / folder.name / path.name, mark=split)
    return workplace / "gestures"


def test_files_are_named_by_data_set_split_protocol_and_settings_and_never_alike():
    path = Path("run/evaluation.json")
    names = [result_path(path, split, data=data).name for data in ("", "vid4", "val") for split in ("test", "val")]
    assert names == [
        *("evaluation.json", "evaluation_val.json", "evaluation_vid4.json", "evaluation_vid4_val.json"),
        *("evaluation_val_test.json", "evaluation_val_val.json"),
    ]
    words = [(data, split, p) for data in ("", "vid4", "10x3") for split in ("test", "val") for p in ("", "10x3")]
    names = [result_path(path, split, data=data, protocol=protocol).name for data, split, protocol in words]
    assert names[:4] == [f"evaluation{text}.json" for text in ("", "_10x3", "_val", "_val_10x3")]
    assert names[5] == "evaluation_vid4_10x3.json" and len({*names}) == len(names)
    changed = [{"dataset.size": 64}, {"dataset.size": 64, "trainer.limit_test_batches": 2}, {"a": "x" * 99}]
    assert [result_path(path, "test", data="", changes=one).name for one in changed] == [
        "evaluation_size=64.json",
        "evaluation_size=64_limit_test_batches=2.json",
        f"evaluation_settings-{short_hash(changed[2])}.json",
    ]


def test_another_evaluation_of_the_same_name_takes_another_file(tmp_path: Path):
    paths = [tmp_path / "evaluation_new.json", tmp_path / "predictions_new.csv"]
    assert free_paths(paths, {"samples": "a"}) == paths
    write_json(paths[0], {"conditions": {"samples": "a"}})
    assert free_paths(paths, {"samples": "a"}) == paths  # once more
    other = free_paths(paths, {"samples": "b"})
    assert not {*other} & {*paths} and [path.stem[-9] for path in other] == ["_", "_"]


@pytest.fixture
def recorded(put: Put, tmp_path: Path) -> RunFolder:
    """A run's record of tmp_path/root."""
    for i in range(4):
        for split in ("train", "test"):
            put(f"{split}/{'ab'[i % 2]}/{i}.mp4", of=f"{split}-{i}.mp4")
    put("val/a/0.mp4")
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    save_samples(data.manifest, run.data)
    return run


@pytest.fixture(scope="module")
def films(films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of different content: bytes after the end of a film are not looked at."""
    folder = tmp_path_factory.mktemp("different")
    made = {}
    for name in [*(f"{split}-{i}.mp4" for split in ("train", "test", "new") for i in range(4))]:
        made[name] = folder / name
        made[name].write_bytes(
            films["bar.mp4"].read_bytes() + struct.pack(">I4s", 8 + len(name), b"free") + name.encode()
        )
    return {**films, **made}


def test_what_has_become_of_the_runs_data_is_told_with_counts_and_examples(
    recorded: RunFolder, put: Put, tmp_path: Path
):
    def evaluated(**changes: object) -> EvaluatedData:
        data = module(tmp_path, FolderPerClass(), allow_copies=True, **changes)
        data.prepare()
        split, on = choose_samples(data.manifest, recorded, part=None, is_elsewhere=False)
        assert split == "test"
        return on

    same = evaluated()
    assert not same.changes and not same.trained
    assert same.word(name="mini", root=tmp_path / "root", own_name="mini", own_root=str(tmp_path / "root")) == ""
    shutil.copytree(tmp_path / "root", tmp_path / "moved")
    assert evaluated(root=str(tmp_path / "moved")) == same  # wherever they lie
    (tmp_path / "root/test/a/0.mp4").unlink()
    put("test/a/2.mp4", of="new-0.mp4")
    put("test/b/5.mp4", of="new-1.mp4")
    shutil.copy(tmp_path / "root/train/b/3.mp4", tmp_path / "root/test/b/6.mp4")
    on = evaluated()
    assert on.changes is not None
    assert on.changes.lines() == [
        "1 changed: test/a/2.mp4",
        "1 missing: test/a/0.mp4",
        "2 additional: test/b/5.mp4, test/b/6.mp4",
    ]
    assert on.trained == ["test/b/6.mp4"] and on.fingerprint != same.fingerprint
    own = {"name": "mini", "own_name": "mini", "own_root": str(tmp_path / "root")}
    assert on.word(root=tmp_path / "root", **own) == f"mini-{on.fingerprint[:8]}"
    assert on.word(root=tmp_path / "held_out", **own) == "held_out"


@pytest.mark.slow
def test_the_runs_own_data_by_another_path_are_its_own(put: Put, tmp_path: Path):
    for i in range(12):
        put(f"{'ab'[i % 2]}/{i}.mp4")
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    assert "test" in data.manifest.made_splits
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    save_samples(data.manifest, run.data)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    linked = module(tmp_path, FolderPerClass(), root=str(tmp_path / "link"))
    linked.prepare()
    split, on = choose_samples(linked.manifest, run, part=None, is_elsewhere=True)
    assert split == "test" and not on.changes
    put("b/99.mp4")
    linked.prepare()
    assert choose_samples(linked.manifest, run, part=None, is_elsewhere=True)[0] == "all"


def test_a_file_of_another_name_is_no_other_file():
    def sample(path: str, content: str) -> Sample:
        return Sample("test", path, "a", "nan", "nan", content)

    before = [sample("test/a/0.mp4", "x"), sample("test/a/1.mp4", "x"), sample("test/a/2.mp4", "y")]
    changes = data_changes(before, [sample("a/0.mp4", "x"), sample("a/2.mp4", "z" * 9)])
    assert changes.lines() == ["2 missing: test/a/1.mp4, test/a/2.mp4", "1 additional: a/2.mp4"]
    assert not data_changes(before, [sample(f"b/{one.path}", one.content) for one in before])
    (line,) = data_changes(before, [sample(f"{'x' * 30}{i}.mp4", "") for i in range(3)]).lines()[1:]
    assert line == f"3 additional: {'x' * 30}0.mp4, ..."


def test_settings_that_were_not_set_are_said_in_words():
    assert change_text("trainer.limit_test_batches", None, 1) == "trainer.limit_test_batches 1 (was all)"
    assert change_text("dataset.clips.clip_fps", 8.0, None) == "clips.clip_fps not set (was 8.0)"


def test_classes_are_told_by_name_whatever_their_order_and_number(put: Put, tmp_path: Path):
    for name in ("b", "c"):
        for split in ("train", "val", "test"):
            put(f"{split}/{name}/0.mp4")
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    assert data.classes == ["b", "c"]
    manifest = data.manifest
    data.test_on("test", classes=order_classes(manifest, ["c", "a", "b"]))
    assert [(data.dataset("test").file(i), data.dataset("test").class_of[i]) for i in range(2)] == [
        ("test/b/0.mp4", 2),
        ("test/c/0.mp4", 0),
    ]
    with pytest.raises(BadRequest, match=r"not those of the run: it lacks a; the run does not know c$"):
        order_classes(manifest, ["a", "b"])
    with pytest.raises(BadRequest, match=r"\nRename them in the data as the run has them: b -> B, c -> C$"):
        order_classes(manifest, ["B", "C"])


def test_a_set_of_tests_alone_is_read_and_other_splits_of_it_are_refused_by_name(put: Put, tmp_path: Path):
    lines = [put(f"clips/{i}.mp4").relative_to(tmp_path / "root").as_posix() for i in range(3)]
    (tmp_path / "root/list.csv").write_text("path,label,split\n" + "".join(f"{line},a,test\n" for line in lines))
    data = module(tmp_path, ManifestFile(file="list.csv"))
    data.prepare()
    assert data.counts == {"train": 0, "val": 0, "test": 3}
    run = RunFolder(tmp_path / "run")
    assert choose_samples(data.manifest, run, part=None, is_elsewhere=True)[0] == "test"
    with pytest.raises(BadRequest, match=r"has no val samples: --split test, or --split all$"):
        choose_samples(data.manifest, run, part="val", is_elsewhere=True)
    with pytest.raises(BadRequest, match="Data set mini has no train samples"):
        data.setup("fit")
    assert len(data.manifest.only("all").samples("all")) == 3


@pytest.mark.slow
def test_a_restoration_run_is_tested_on_a_folder_of_videos_and_its_own_figures_stay(restored: Path, workplace: Path):
    own = videxp("evaluate", str(restored), "hardware.num_workers=0", cwd=workplace)
    assert own.returncode == 0, own.stderr
    before = (restored / "evaluation.json").read_bytes()
    for path in sorted(workplace.glob("data/moving_digits/**/*.mp4"))[:3]:
        (workplace / "films").mkdir(exist_ok=True)
        shutil.copy(path, workplace / f"films/{path.parent.name}-{path.name}")
    words = ["dataset=video_folder", "dataset.name=films", "dataset.root=films", "dataset.layout.splits=test"]
    done = videxp("evaluate", str(restored), *words, "dataset.clips.test_frames=4", "hardware=cpu", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "films test: 3 of 3 videos" in done.stdout
    assert "read otherwise than in the run: clips.test_frames 4 (was all)" in done.stdout
    assert "evaluation_films.json" in done.stdout and "predictions_films.csv" in done.stdout
    result = json.loads((restored / "evaluation_films.json").read_text())
    assert result["data"]["name"] == "films" and result["data"]["clips"] == 3
    found = rows(restored / "predictions_films.csv")
    assert {row["frames"] for row in found} == {"4"}
    assert result["metrics"]["test/psnr"] == pytest.approx(sum(float(row["psnr"]) for row in found) / 3, abs=1e-5)
    assert (restored / "evaluation.json").read_bytes() == before
    done = videxp("evaluate", str(restored), "trainer.limit_test_batches=1", "dataset.eval_batch_size=1", cwd=workplace)
    count = json.loads(before)["data"]["of"]
    assert done.returncode == 0 and f"1 of {count} videos" in done.stdout, done.stderr
    part = json.loads((restored / "evaluation_limit_test_batches=1.json").read_text())
    assert (part["data"]["clips"], part["data"]["of"]) == (1, count)
    assert (restored / "evaluation.json").read_bytes() == before


@pytest.mark.slow
def test_a_classifier_is_tested_on_another_folder_of_its_classes(
    finished: tuple[Path, Run], gestures: Path, workplace: Path
):
    run, _ = finished
    words = [
        "dataset=folder_per_class",
        "dataset.root=gestures",
        "dataset.name=gestures",
        "dataset.decoding.frame_size=null",
    ]
    seen = ["dataset.size=40", "dataset.eval_transform.resize=40", "dataset.num_frames=4", "hardware.num_workers=0"]
    done = videxp("evaluate", str(run), *words, *seen, cwd=workplace)
    assert done.returncode == 0, done.stderr
    count = len(list(gestures.glob("test/*/*.mp4")))
    assert f"gestures test: {count} of {count} videos" in done.stdout
    theirs = {Path(row["path"]).name: row["predicted"] for row in rows(run / "predictions_gestures.csv")}
    videxp("evaluate", str(run), "hardware.num_workers=0", cwd=workplace)
    own = {Path(row["path"]).name: row["predicted"] for row in rows(run / "predictions.csv")}
    assert theirs and theirs == {name: own[name] for name in theirs}  # the same files give the same answers

    other = workplace / "other"
    shutil.copytree(gestures, other)
    first = min(path for path in (other / "test").iterdir() if path.is_dir())
    for split in ("train", "test"):
        (other / split / first.name).rename(other / split / "waving")
    words[1] = "dataset.root=other"
    done = videxp("evaluate", str(run), *words, *seen, cwd=workplace)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        "videxp: dataset gestures: its classes are not those of the run: "
        f"it lacks {first.name}; the run does not know waving"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset=vid4"], "dataset.root=data/vid4: the folder data/vid4 does not exist"),
        (["dataset=vid5"], "dataset=vid5: unknown dataset; did you mean vid4?"),
        (["dataset=moving_digits"], "dataset=moving_digits: gives no clean clips to compare with"),
        (["dataset=footage", "dataset.scale=2"], "dataset.scale=2: the model enlarges 4 times"),
        (["dataset=footage", "dataset.rot=3"], "dataset.rot=3: no such key; did you mean dataset.root?"),
        (["model=tdan"], "model=tdan: a run's parts are fixed"),
    ],
    ids=str,
)
def test_data_that_do_not_fit_are_refused_in_a_line(restored: Path, workplace: Path, words: list[str], said: str):
    done = videxp("evaluate", str(restored), *words, cwd=workplace)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_test_can_be_judged_by_networks_whose_files_are_named(restored: Path, alex: Path, workplace: Path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(SPyNet(levels=1, width=8).state_dict(), workplace / "spynet.pth")
    flow = "{_target_: videxp.models.restoration.spynet.SPyNet, levels: 1, width: 8, weights: spynet.pth}"
    lpips, tof = (
        f"{{_target_: videxp.metrics.Lpips, weights: {alex}}}",
        f"{{_target_: videxp.metrics.TOF, flow: {flow}}}",
    )
    words = [f"task.test_metrics={{lpips: {lpips}, tof: {tof}}}", "dataset.crop_size=32", "hardware.num_workers=0"]
    done = videxp("evaluate", str(restored), "dataset=footage", "dataset.name=judged", *words, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "; lpips: LPIPS 0.1 of alexnet (alexnet.pth); tof: tOF by SPyNet (spynet.pth), pixels" in done.stdout
    result = json.loads((restored / "evaluation_judged.json").read_text())
    found = rows(restored / "predictions_judged.csv")
    for name in ("lpips", "tof"):
        mean = sum(float(row[name]) for row in found) / len(found)
        assert result["metrics"][f"test/{name}"] == pytest.approx(mean, rel=1e-5) and mean > 0
    for wrong, said in (
        ("task.test_metrics={lpips: {_target_: videxp.metrics.Lpips, weight: 3}}", "did you mean"),
        (
            "task.test_metrics={lpips: {_target_: videxp.metrics.Lpips, weights: no.pth}}",
            "weights=no.pth: no such file",
        ),
    ):
        done = videxp("evaluate", str(restored), wrong, cwd=workplace)
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1) and said in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not VID4.is_dir(), reason="the folder of real videos is not there")
def test_the_published_row_of_bicubic_comes_out_of_the_command_line(restored: Path, workplace: Path):
    small = [
        "dataset=footage",
        "logger=csv",
        "hardware.num_workers=0",
        "dataset.clips.test_frames=1",
        "dataset.crop_size=32",
    ]
    trained = videxp("train", "super_resolution/bicubic", *small, "hydra.run.dir=runs/bicubic", cwd=workplace)
    assert trained.returncode == 0, trained.stderr
    data = ["dataset=video_folder", "dataset.name=vid4", f"dataset.root={VID4}", "dataset.layout.splits=test"]
    done = videxp("evaluate", "runs/bicubic", *data, "hardware.num_workers=0", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "PSNR/SSIM on Y (BT.601), border 0" in done.stdout
    found = rows(workplace / "runs/bicubic/predictions_vid4.csv")
    scores = {Path(row["path"]).stem: (round(float(row["psnr"]), 4), round(float(row["ssim"]), 4)) for row in found}
    assert scores == {"city": (25.1648, 0.6028), "walk": (26.1037, 0.7974)}
    assert {name: (round(values[0], 2), values[1]) for name, values in scores.items()} == PUBLISHED
