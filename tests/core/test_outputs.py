"""No command writes over an input, over a run's own files, or over anything that is there without being asked to."""

import os
from pathlib import Path

import pytest

from videxp.core.errors import BadRequest
from videxp.core.files import replacing, write_text
from videxp.core.outputs import identities, own_files, require_output_file, require_own_folder, run_that_owns
from videxp.runs.folder import RunFolder


def test_an_input_is_known_by_every_name_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    (tmp_path / "link.mp4").symlink_to(film)
    (tmp_path / "folder").symlink_to(tmp_path)
    os.link(film, tmp_path / "hard.mp4")
    monkeypatch.chdir(tmp_path)
    for spelling in ("film.mp4", "./film.mp4", "folder/film.mp4", "link.mp4", "hard.mp4", str(film)):
        with pytest.raises(BadRequest, match="is the input itself: choose another name"):
            require_output_file(Path(spelling), overwrite=True, inputs=identities([film]))
    Path("folder/film.mp4").write_text("{}")  # the stock way
    assert film.read_bytes() == b"{}"


def test_a_picture_of_a_folder_of_frames_is_a_part_of_the_input(tmp_path: Path):
    (tmp_path / "1.png").touch()
    with pytest.raises(BadRequest, match="is a part of the input"):
        require_output_file(tmp_path / "1.png", overwrite=True, inputs=identities([tmp_path]))
    require_output_file(tmp_path / "labels.json", overwrite=False, inputs=identities([tmp_path]))


def test_no_own_file_of_a_run_is_an_output(tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    (run.path / "checkpoints").mkdir(parents=True)
    run.config.touch()
    (run.path / "evaluation_val.json").touch()
    found = [getattr(run, name) for name, value in vars(RunFolder).items() if isinstance(value, property)]
    own = [value for value in found if isinstance(value, Path)]
    assert len(own) == 15
    own.append(run.path / "provenance.damaged.json")
    for path in [*own, run.path / "evaluation_val.json", run.path / "checkpoints/mine.json", run.samples / "a.mp4"]:
        with pytest.raises(BadRequest, match="is one of the run's own files"):
            require_output_file(path, overwrite=True)
    for name in ("weights.safetensors", "evaluation_of_mine.json", "notes/log.txt"):
        require_output_file(run.path / name, overwrite=False)
    assert run_that_owns(tmp_path / "elsewhere/config.yaml") is None


def test_a_new_run_takes_no_folder_that_holds_what_it_would_write(tmp_path: Path):
    (tmp_path / "mine.txt").touch()
    assert own_files(tmp_path) == []
    RunFolder(tmp_path).create()
    (tmp_path / "log.txt").write_text("notes of a year")
    with pytest.raises(BadRequest, match=r"holds log.txt already, which a run writes: give another hydra.run.dir"):
        RunFolder(tmp_path).create()
    with pytest.raises(BadRequest, match="a name may have 255 bytes"):
        RunFolder(tmp_path / ("x" * 256)).create()


def test_what_is_there_is_replaced_only_on_request(tmp_path: Path):
    (tmp_path / "there.json").touch()
    (tmp_path / "dangling.json").symlink_to("nothing")
    for name in ("there.json", "dangling.json"):
        with pytest.raises(BadRequest, match="is there already: choose another name, or add --overwrite"):
            require_output_file(tmp_path / name, overwrite=False)
        require_output_file(tmp_path / name, overwrite=True)
    require_output_file(tmp_path / "to/be/made.json", overwrite=False)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder: give a file"),
        ("there.json/new.json", "cannot be written.*Not a directory"),
        ("x" * 256, "a name may have 255 bytes"),
        ("ü" * 128 + "/a.json", "a name may have 255 bytes"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str, message: str):
    (tmp_path / "there.json").touch()
    with pytest.raises(BadRequest, match=message):
        require_output_file(tmp_path / name, overwrite=True)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system that refuses root, too")
def test_a_folder_that_takes_no_files_is_told():
    with pytest.raises(BadRequest, match=r"-o /proc/new.json: cannot be written: /proc: "):
        require_output_file(Path("/proc/new.json"), overwrite=False)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    require_output_file(pipe, overwrite=False)
    write_text(pipe, "[]")
    assert os.read(reader, 9) == b"[]" and pipe.is_fifo()
    os.close(reader)


def test_copies_go_into_a_folder_of_their_own(tmp_path: Path):
    (tmp_path / "shards").mkdir()
    require_own_folder(tmp_path, known={"shards"}.__contains__, option="--cache")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(BadRequest, match=r"--cache .* holds other things, such as a.mp4: give a folder of its own"):
        require_own_folder(tmp_path, known={"shards"}.__contains__, option="--cache")


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path):
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "old")]
