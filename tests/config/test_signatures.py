"""What is read from source text is what `inspect` says of the real object."""

import importlib
import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from videxp.config.checking.targets import targets_in
from videxp.config.checking.values import complaint
from videxp.config.places import own_folder
from videxp.core.signatures import UNREADABLE, signature

FILES = sorted(own_folder("conf").rglob("*.yaml"))
TARGETS = sorted(
    {str(t) for path in FILES for _, t in targets_in(OmegaConf.to_container(OmegaConf.load(path), resolve=False), "")}
)
OTHERS = [
    "torchmetrics.Accuracy",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "torch.nn.Conv3d",
    "torch.nn.TransformerEncoderLayer",
]


def test_the_walk_found_targets():
    assert len(TARGETS) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS + OTHERS)
def test_the_text_says_what_the_object_says(target: str):
    module, _, name = target.rpartition(".")
    real = getattr(importlib.import_module(module), name)
    read = signature(target)
    assert read is not None and read.kind in ("class", "function")
    assert read.module == real.__module__
    function = real.__init__ if inspect.isclass(real) and "__init__" in vars(real) else real
    for parameter in inspect.signature(inspect.unwrap(function)).parameters.values():
        if parameter.name in ("self", "cls") or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        ours = read.parameters[parameter.name]
        assert ours.required == (parameter.default is parameter.empty), parameter
        if ours.default is not UNREADABLE:
            assert ours.default == parameter.default
    if all(p.kind != p.VAR_KEYWORD for p in inspect.signature(inspect.unwrap(function)).parameters.values()):
        assert not read.open


def test_kwargs_are_followed_to_where_they_go():
    through_two = signature("torchvision.models.video.r3d_18")
    popped = signature("torchmetrics.classification.MulticlassAccuracy")
    kept_for_later = signature("pytorch_lightning.callbacks.EMAWeightAveraging")
    assert through_two and "num_classes" in through_two.parameters and not through_two.open
    assert popped and {"num_classes", "dist_sync_on_step"} <= set(popped.parameters) and not popped.open
    assert kept_for_later and "decay" in kept_for_later.parameters and not kept_for_later.open


PACKAGE = {
    "__init__.py": """
from videxp.core.lazy import lazy_exports
__getattr__, __all__ = lazy_exports(__name__, {"Lazy": "pack.deep"})
from .deep import Base as Renamed
from .stars import *
""",
    "deep.py": """
raise RuntimeError("imported")
class Base:
    def __init__(self, *, a: int, **kwargs): ...
class Lazy(Base):
    def __init__(self, *, b: int = 2, **kwargs):
        super().__init__(a=1, **kwargs)
""",
    "stars.py": """
import dataclasses
try:
    import nothing
except ImportError:
    nothing = None
if True:
    @dataclasses.dataclass
    class Data:
        x: int
        y: float = 0.5
        z: int = dataclasses.field(init=False)
@accepts(min_frames=8)
def make(n: "int | None" = None): ...
""",
}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "pack" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


def test_names_are_followed_without_importing(pack):
    lazy, renamed, data, make = (signature(f"pack.{name}") for name in ("Lazy", "Renamed", "Data", "make"))
    assert lazy and lazy.full_name == "pack.deep.Lazy" and set(lazy.parameters) == {"b"}
    assert renamed and renamed.full_name == "pack.deep.Base" and renamed.parameters["a"].required
    assert data and {n: p.required for n, p in data.parameters.items()} == {"x": True, "y": False}
    assert make and make.accepts == {"min_frames": 8}
    assert signature("pack.Nothing") is None


ANNOTATIONS = {
    "int": ([1, 0], [1.5, True, "1", None, 1e3]),
    "float": ([1, 0.5], ["1e3", True, None]),
    "bool": ([True], [1, "true"]),
    "str": (["", "a"], [1, None]),
    "int | None": ([1, None], [1.5]),
    "Optional[Union[int, str]]": ([1, "a", None], [1.5]),
    "Literal['a', 1]": (["a", 1], ["b", True, 2]),
    "list[int]": ([[], [1, 2]], [1, [1.5], "ab"]),
    "Sequence[str]": ([["a"]], ["a", [1]]),
    "tuple[int, int]": ([[1, 2]], [[1], [1, 2, 3]]),
    "tuple[float, ...]": ([[1, 2.5, 3]], [["a"]]),
    "dict[str, int]": ([{"a": 1}], [{"a": "b"}, 1]),
    "Annotated[int, Ge(1)]": ([1, 2], [0, -1, 1.5]),
    "Annotated[float, Interval(gt=0, le=1)]": ([0.5, 1], [0, 1.5]),
    "Annotated[int, Ge(1), MultipleOf(8)]": ([8, 16], [4, 0]),
    "list[Annotated[int, Ge(0)]]": ([[0, 1]], [[-1]]),
    "'int'": ([1], ["a"]),
    "Alias": (["x"], ["z"]),
    "Unknown": ([1, "a", None, [1]], []),
}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_values_are_judged_by_the_annotation(annotation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = f"annotated_{abs(hash(annotation))}"
    (tmp_path / f"{name}.py").write_text(f"Alias = Literal['x', 'y']\ndef f(*, value: {annotation}): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    read = signature(f"{name}.f")
    assert read is not None
    right, wrong = ANNOTATIONS[annotation]
    assert [value for value in right if complaint(value, read.parameters["value"])] == []
    assert [value for value in wrong if not complaint(value, read.parameters["value"])] == []


def test_each_machine_counts_its_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from videxp.config.checking import machine

    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(machine, "_subfolders", lambda _: list(tmp_path.iterdir()))

    def count(visible: str) -> int:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return machine.count_gpus()

    assert [count(text) for text in ("0,1", "", "-1", "2,7,1", "GPU-8f6")] == [2, 0, 0, 1, 1]
