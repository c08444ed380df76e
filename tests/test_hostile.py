"""Run folders, configs, checkpoints and videos may come from anyone: twenty-odd that want to run something run nothing.

Each would make a file `ran`, or ask a server on this machine for something; each is answered in lines, not a traceback.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from tests.shrink import tiny
from videxp import cli
from videxp.config import compose, save_resolved

RECIPE = "classification/moving_digits"


class MakesFile:
    """Unpickling it touches `ran` in the current folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch ran",))


class LoadsOther:
    """Unpickling it has torch unpickle another file, without the protection."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (torch.load, ("evil.pt", None, None, False))  # map_location, pickle_module


class MakesFileInside(torch.Tensor):
    """A tensor of a class of one's own: its pickle names a function to rebuild it with."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (os.system, ("touch ran",))


@pytest.fixture(scope="module")
def honest_config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("honest") / "config.yaml"
    save_resolved(compose(RECIPE, tiny()).cfg, path)
    return path.read_text()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest_config: str) -> Path:
    """A current folder with hostile files of each kind, and a run whose config alone is honest."""
    for name in ("VIDEXP_ALLOW", "VIDEXP_DATA", "VIDEXP_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    torch.save(MakesFile(), "evil.pt")
    joblib.dump(MakesFile(), "evil.joblib")
    np.save("evil.npy", np.array([MakesFile()], dtype=object), allow_pickle=True)
    Path("evil.pickle").write_bytes(pickle.dumps(MakesFile()))
    Path("evil.py").write_text("open('ran', 'w').close()\nclass Network: ...\n")
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    Path("run/config.yaml").write_text(honest_config)
    return tmp_path


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that it was asked for."""
    asked: list[str] = []

    class Counting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """Exit status and the lines of stderr."""
    capsys.readouterr()
    status = cli.main(list(arguments))
    return status, capsys.readouterr().err.strip().splitlines()


def append(text: str) -> None:
    with Path("run/config.yaml").open("a") as file:
        file.write(text)


def replace_model(yaml: str) -> None:
    path = Path("run/config.yaml")
    path.write_text(path.read_text().replace("_target_: videxp.models.classification.small.SmallCNN3D", yaml))


DATAPIPE = """
extra:
  layout:
    _target_: torch.utils.data.datapipes.iter.RoutedDecoder
    datapipe:
      _target_: torch.utils.data.datapipes.iter.FileOpener
      mode: b
      datapipe:
        _target_: torch.utils.data.datapipes.iter.IterableWrapper
        iterable: [evil.pickle]
"""

# What the run folder's config.yaml says -> what the answer names.
CONFIGS: dict[str, tuple[Callable[[], None], str]] = {
    "a target": (lambda: replace_model("{_target_: os.system, command: touch ran}"), "os.system"),
    "a target by an alias": (lambda: replace_model("{_target_: logging.os.system, command: touch ran}"), "logging"),
    "a target by a package that is allowed": (
        lambda: replace_model("{_target_: videxp.cli.os.system, command: touch ran}"),
        "videxp.cli.os.system",
    ),
    "exec": (lambda: replace_model("{_target_: builtins.exec, _args_: [\"open('ran', 'w')\"]}"), "builtins.exec"),
    "torch.load": (lambda: replace_model("{_target_: torch.load, f: evil.pt, weights_only: false}"), "torch.load"),
    "torch.load by an alias": (
        lambda: replace_model("{_target_: torch.nn.modules.container.torch.load, f: evil.pt, weights_only: false}"),
        "torch.nn.modules.container.torch.load",
    ),
    "joblib.load": (lambda: replace_model("{_target_: joblib.load, filename: evil.joblib}"), "joblib.load"),
    "numpy.load": (lambda: replace_model("{_target_: numpy.load, file: evil.npy, allow_pickle: true}"), "numpy.load"),
    "load_from_checkpoint": (
        lambda: replace_model("{_target_: videxp.tasks.Classification.load_from_checkpoint, checkpoint_path: evil.pt}"),
        "load_from_checkpoint",
    ),
    "a module that is in reach": (lambda: replace_model("{_target_: evil.Network}"), "evil is not on the list"),
    "a data pipe that unpickles": (lambda: append(DATAPIPE), "RoutedDecoder"),
    "a target deep inside": (lambda: append("extra: [{a: {_target_: os.system, command: touch ran}}]\n"), "extra"),
    "a YAML tag": (lambda: append("extra: !!python/object/apply:os.system [touch ran]\n"), "python/object/apply"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_config_of_a_run_folder_runs_nothing(
    name: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    make, named = CONFIGS[name]
    monkeypatch.syspath_prepend(place)
    make()
    for command in (["evaluate", "run"], ["predict", "run", "evil.pt"], ["export", "run", "--format", "safetensors"]):
        status, lines = answer(capsys, *command)
        assert status == 2 and len(lines) == (3 if name == "a data pipe that unpickles" else 1), lines  # one per target
        assert named in lines[0]
    assert not Path("ran").exists()


def torch_zip(path: str) -> None:
    torch.save({"state_dict": {"network.head.weight": MakesFile()}}, path)


def torchscript(path: str) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.save(torch.jit.trace(Net(), torch.zeros(1)), path)


CHECKPOINTS: dict[str, Callable[[str], object]] = {
    "a plain pickle": lambda path: Path(path).write_bytes(pickle.dumps(MakesFile())),
    "torch's zip": torch_zip,
    "torch's old format": lambda path: torch.save(
        {"state_dict": MakesFile()}, path, _use_new_zipfile_serialization=False
    ),
    "torch.load inside": lambda path: torch.save({"state_dict": LoadsOther()}, path),
    "a tensor of another class": lambda path: torch.save(
        {"state_dict": {"a": torch.zeros(2).as_subclass(MakesFileInside)}}, path
    ),
    "joblib": lambda path: joblib.dump(MakesFile(), path),
    "numpy": lambda path: Path(path).write_bytes(Path("evil.npy").read_bytes()),
    "a program of torch.jit": torchscript,
    "no dict of tensors": lambda path: torch.save({"state_dict": {"network.head.weight": "text"}}, path),
    "a pipe": os.mkfifo,
    "rubbish": lambda path: Path(path).write_bytes(os.urandom(1000)),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_hostile_checkpoint_runs_nothing(name: str, place: Path, capsys: pytest.CaptureFixture[str]):
    CHECKPOINTS[name]("run/checkpoints/best.ckpt")
    for command in (["evaluate", "run"], ["predict", "run", "evil.pt"], ["export", "run", "--format", "safetensors"]):
        status, lines = answer(capsys, *command)
        assert (status, len(lines)) == (2, 2), lines
        assert "run: has no provenance.json" in lines[0] and "run/checkpoints/best.ckpt: " in lines[1]
    assert not Path("ran").exists()
    assert not list(place.glob("run/*.json")) and not (place / "data").exists()


def test_plain_loading_would_have_run_them(place: Path):
    """The negative control."""
    from hydra.utils import instantiate

    def runs(load: Callable[[], object]) -> bool:
        Path("ran").unlink(missing_ok=True)
        load()
        return Path("ran").exists()

    torch_zip("zip.ckpt")
    assert runs(lambda: torch.load("zip.ckpt", weights_only=False))
    assert runs(lambda: joblib.load("evil.joblib"))
    assert runs(lambda: np.load("evil.npy", allow_pickle=True))
    assert runs(lambda: instantiate({"_target_": "joblib.load", "filename": "evil.joblib"}))
    assert runs(lambda: instantiate({"_target_": "torch.load", "f": "evil.pt", "weights_only": False}))
    assert runs(lambda: instantiate({"_target_": "evil.Network"}) if not os.sys.path.insert(0, str(place)) else None)
    os.sys.path.remove(str(place))


HOSTILE_RECIPE = """# @package _global_
# Wants Hydra to call something for it
defaults:
  - classification/moving_digits
hydra:
  callbacks:
    evil: {_target_: joblib.load, filename: evil.joblib}
"""


@pytest.mark.slow
def test_a_recipe_with_code_in_hydras_own_part_runs_nothing(place: Path, capsys: pytest.CaptureFixture[str]):
    Path("hostile.yaml").write_text(HOSTILE_RECIPE)
    said = "videxp: hydra.callbacks: has no effect; callbacks=[checkpoint,nonfinite,ema] chooses a run's"
    for command in (
        ["check", "hostile.yaml"],
        *(["train", "hostile.yaml", *flag] for flag in (["--cfg", "job"], ["-h"])),
    ):
        status, lines = answer(capsys, *command)
        assert status == 2 and lines[0].startswith(said)
    for flags in (["--run"], ["--package", "x"], ["--resolve"]):
        status, lines = answer(capsys, "train", "hostile.yaml", *flags)
        assert (status, len(lines)) == (2, 1), lines
    assert not Path("ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "override",
    [
        "model._target_=os.system",
        "model._target_=torch.nn.modules.container.torch.load",
        "+callbacks.x={_target_: joblib.load, filename: evil.joblib}",
        "+dataset.layout.x={_target_: numpy.load, file: evil.npy, allow_pickle: true}",
    ],
)
def test_a_hostile_override_runs_nothing(override: str, place: Path, capsys: pytest.CaptureFixture[str]):
    status, lines = answer(capsys, "train", RECIPE, *tiny(override))
    assert status == 2 and 1 <= len(lines) <= 3
    assert override.partition("=")[0].lstrip("+").split(".x")[0] in "\n".join(lines)
    assert not Path("ran").exists() and not Path("runs").exists()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_hostile_weights_run_nothing(suffix: str, place: Path):
    from videxp.core.errors import BadRequest
    from videxp.models.classification.x3d import X3D

    path = Path(f"weights.{suffix}")
    path.write_bytes(Path("evil.pt").read_bytes() if suffix == "pt" else b"\xff" * 7 + b"\x7f" + b"{" * 100)
    with pytest.raises(BadRequest, match=f"weights={path}"):
        X3D(weights=str(path))
    assert not Path("ran").exists()


# ---- videos ------------------------------------------------------------------------------------------------------


def hostile_videos(folder: Path, url: str) -> dict[str, str]:
    """name in a manifest -> what it is; the playlists point at a real video and at the server."""
    from videxp.video import write_video

    write_video(folder / "real.mp4", np.zeros((8, 32, 32, 3), np.uint8), fps=8)
    segments = f"#EXTINF:1,\n{(folder / 'real.mp4').as_uri()}\n#EXTINF:1,\n{url}/segment.ts\n"
    texts = {
        "playlist.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{segments}#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile real.mp4\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "dash.mp4": f'<?xml version="1.0"?><MPD><BaseURL>{url}/dash</BaseURL></MPD>',
        "svg.mp4": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/svg"/></svg>',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "up.mp4").symlink_to("../../../etc/passwd")
    return {name: name for name in (*texts, "pipe.mp4", "device.mp4", "up.mp4")} | {
        "concat:real.mp4|real.mp4": "a protocol",
        f"{url}/video.mp4": "an address",
        "subfile,,start,0,end,100,,:real.mp4": "a protocol",
        "../../etc/passwd": "a way out",
    }


def test_a_playlist_would_have_been_followed(tmp_path: Path, server: tuple[str, list[str]]):
    """The negative control: PyAV's defaults, and `concat:`, which decord takes too."""
    import av

    url, asked = server
    hostile_videos(tmp_path, url)
    with av.open(f"concat:{tmp_path}/real.mp4|{tmp_path}/real.mp4") as container:
        assert container.streams.video
    with pytest.raises(av.error.FFmpegError):
        av.open(f"{url}/video.mp4")
    assert asked == ["/video.mp4"]


@pytest.mark.slow
def test_hostile_videos_are_neither_followed_nor_fetched(
    place: Path, server: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
):
    url, asked = server
    root = place / "videos"
    root.mkdir()
    names = hostile_videos(root, url)
    rows = [("real.mp4", "train"), *((name, "train") for name in names)]
    (root / "list.csv").write_text("path,label,split\n" + "".join(f'"{path}",a,{split}\n' for path, split in rows))
    overrides = [f"dataset.root={root}", "dataset.layout.file=list.csv"]
    status, lines = answer(capsys, "prepare", "manifest", *overrides)
    assert status == 2 and len([line for line in lines if not line.startswith("Reading ")]) <= 3
    assert f"{len(names)} of {len(names) + 1} files cannot be read" in "\n".join(lines)
    assert asked == []
    for name in ("playlist.mp4", "concat.mp4", "pipe.mp4"):
        from videxp.video import UnreadableVideo, open_video

        with pytest.raises(UnreadableVideo) as caught:
            open_video(root / name)
        assert len(str(caught.value).splitlines()) == 1
    assert asked == []


# ---- what is written ---------------------------------------------------------------------------------------------


def test_a_link_in_a_run_folder_is_replaced_and_not_written_through(place: Path):
    from videxp.runs.folder import RunFolder, write_json

    Path("precious.txt").write_text("mine")
    run = RunFolder(Path("run"))
    for path in (run.evaluation, run.provenance, run.path / "status.json"):
        path.symlink_to("../precious.txt")
        write_json(path, {})
    assert Path("precious.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "[]", '{"sources": 1}', "{" * 10000])
def test_a_damaged_record_is_said_in_a_line(content: str, place: Path, capsys: pytest.CaptureFixture[str]):
    Path("run/provenance.json").write_text(content)
    Path("run/status.json").write_text('{"state": "finished"}')
    status, lines = answer(capsys, "reproduce", "run")
    assert (status, len(lines)) == (2, 1), lines


@pytest.mark.slow
def test_the_library_loads_with_weights_only_everywhere():
    import ast

    import videxp

    calls = []
    for path in Path(videxp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if name.endswith(("torch.load", "load_state_dict_from_url")):
                    calls.append((path.name, options.get("weights_only")))
                assert name not in ("pickle.load", "pickle.loads", "joblib.load", "yaml.unsafe_load"), path
                assert name != "yaml.load" or "SAFE_LOADER" in ast.unparse(node), path
                assert "allow_pickle" not in options, path
    assert len(calls) >= 3
    assert {option for _, option in calls} == {"True"}
