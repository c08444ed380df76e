"""Exported programs of torch from anyone: what the stock reader runs is refused before torch reads it."""

import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from videxp.core.errors import BadRequest
from videxp.deploy.exporting.plain_program import is_guard, is_operator, is_size, plain_archive

Members = dict[str, bytes]
CLIP = torch.randint(0, 256, (3, 4, 10, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Classifier(nn.Module):
    """Sizes that are computed, a part without gradients, a constant: what graphs of networks hold."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(3, 2, 3)
        self.constant = torch.arange(2)

    def forward(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        side = torch.sym_min(clip.shape[2], clip.shape[3]) * 7 // 8
        video = clip.permute(0, 4, 1, 2, 3).float().narrow(3, (clip.shape[2] - side) // 2, side) / 255
        with torch.no_grad():
            logits = self.convolution(video).mean((2, 3, 4)) + self.constant
        return logits.softmax(-1), logits


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "classifier.pt2"
    axes = (dict.fromkeys(range(4), torch.export.Dim.AUTO),)
    example = torch.zeros(2, 4, 16, 20, 3, dtype=torch.uint8)
    program = torch.export.export(Classifier().eval(), (example,), dynamic_shapes=axes)
    torch.export.save(program, path, extra_files={"videxp": "{}"})
    return path


def change(exported: Path, path: Path, edit: Callable[[Members], None], *, packed: bool = False) -> Path:
    """A copy of the file with other members."""
    with zipfile.ZipFile(exported) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    edit(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name if name.startswith("..") else f"classifier/{name}", content)
    return path


def edit_model(edit: Callable[[Any], None]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        model = json.loads(members["models/model.json"])
        edit(model)
        members["models/model.json"] = json.dumps(model).encode()

    return apply


@pytest.mark.slow
def test_what_torch_wrote_passes_and_answers_the_same(exported: Path) -> None:
    extra = {"videxp": ""}
    program = torch.export.load(plain_archive(exported), extra_files=extra)
    stock = torch.export.load(exported).module()
    assert extra == {"videxp": "{}"}
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(program.module()(CLIP), stock(CLIP), strict=True))


# ---- files that run code ---------------------------------------------------------------------------------------------


class Touch:
    """Pickled, it makes a file when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def touching(trace: Path) -> str:
    return f"__import__('pathlib').Path({str(trace)!r}).touch()"


def in_guards(trace: Path) -> Callable[[Members], None]:
    return edit_model(lambda model: model["guards_code"].append(f"{touching(trace)} is None"))


def in_sizes(trace: Path) -> Callable[[Members], None]:
    def edit(model: Any) -> None:
        sizes = model["graph_module"]["graph"]["sym_int_values"]
        next(iter(sizes.values()))["as_expr"]["expr_str"] = f"({touching(trace)}, Symbol('s0'))[1]"

    return edit_model(edit)


def in_name_of_input(trace: Path) -> Callable[[Members], None]:
    """The name stands in the text of a function that torch executes."""

    def edit(members: Members) -> None:
        model = members["models/model.json"].decode()
        name = f"clip=__import__('pathlib').Path('{trace}').touch()"
        members["models/model.json"] = model.replace('"clip"', json.dumps(name)).encode()

    return edit


def in_weight(trace: Path) -> Callable[[Members], None]:
    def edit(members: Members) -> None:
        name = "data/weights/model_weights_config.json"
        config = json.loads(members[name])
        about = next(iter(config["config"].values()))
        about["use_pickle"] = True
        members[f"data/weights/{about['path_name']}"] = pickle.dumps(Touch(trace), protocol=2)
        members[name] = json.dumps(config).encode()

    return edit


def in_example(trace: Path) -> Callable[[Members], None]:
    return lambda members: members.update({"data/sample_inputs/model.pt": pickle.dumps(Touch(trace), protocol=2)})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("hide", [in_guards, in_sizes, in_name_of_input, in_weight, in_example])
def test_code_is_run_by_torch_and_not_by_us(
    hide: Callable[[Path], Callable[[Members], None]], exported: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    hostile = change(exported, tmp_path / "hostile.pt2", hide(trace))
    with suppress(Exception):  # it may well fail afterwards
        torch.export.load(hostile).module()(CLIP)
    assert trace.exists(), "the stock reader was expected to run it"
    trace.unlink()

    if hide is in_example:  # left out: nobody needs it
        assert torch.export.load(plain_archive(hostile)).module()(CLIP)[0].shape == (3, 2)
    else:
        with pytest.raises(BadRequest, match="it could run code"):
            plain_archive(hostile)
    assert not trace.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"data/aotinductor/model/model.so": b"\x7fELF"}, "no part of an exported graph"),
        ({"../outside": b"1"}, "no part of an exported graph"),
        ({"data/constants/custom_obj_0": b"1"}, "no part of an exported graph"),
        ({"models/model.json": b"{"}, "damaged"),
        ({"models/model.json": b"[" * 100_000}, "damaged"),
        ({"models/model.json": b"{}"}, "damaged"),
    ],
)
def test_members_that_no_graph_has_are_refused(edit: Members, said: str, exported: Path, tmp_path: Path) -> None:
    hostile = change(exported, tmp_path / "hostile.pt2", lambda members: members.update(edit))
    with pytest.raises(BadRequest, match=said) as caught:
        plain_archive(hostile)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_what_unfolds_is_refused_before_it_does(exported: Path, tmp_path: Path) -> None:
    bomb = change(exported, tmp_path / "bomb.pt2", lambda m: m.update({"extra/videxp": bytes(1 << 24)}), packed=True)
    assert bomb.stat().st_size < 1 << 18
    with pytest.raises(BadRequest, match="is packed"):
        plain_archive(bomb)


def test_two_members_of_one_name_are_refused(exported: Path, tmp_path: Path) -> None:
    """Readers differ in which of them they take."""
    double = change(exported, tmp_path / "double.pt2", lambda members: None)
    with zipfile.ZipFile(double, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("classifier/models/model.json", b"{}")
    with pytest.raises(BadRequest, match="two members of one name"):
        plain_archive(double)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(40)])
def test_what_is_no_archive_is_told_in_a_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "no.pt2").write_bytes(content)
    with pytest.raises(BadRequest, match=r"no \.pt2 file, or a damaged one"):
        plain_archive(tmp_path / "no.pt2")


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("FloorDiv(Mul(Integer(7), Symbol('s24', positive=True, integer=True)), Integer(8))", True),
        ("Pow(Symbol('s0', integer=True), Integer(2))", True),
        ("Pow(Integer(9), Pow(Integer(9), Integer(9)))", False),
        ("Integer(9)**Integer(9)", False),
        ("Min('exit()', Integer(1))", False),
        ("Symbol('s0').__class__", False),
        ("print(1)", False),
        ("[s0 for s0 in s1]", False),
        ("(lambda: 1)()", False),
    ],
)
def test_sizes_are_sums_and_products(text: str, fine: bool) -> None:
    assert is_size(text) is fine


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("L['clip'].size()[3] >= 2 and (1 % (3*L['clip'].size()[2])) != 0", True),
        ("torch.sym_max(1, L['clip'].size()[2]) == 4", True),
        ("L['clip'].numpy().tofile('x')", False),
        ("torch.load('x')", False),
        ("math.inf == 1", True),
        ("(x := 1)", False),
    ],
)
def test_guards_are_of_sizes(text: str, fine: bool) -> None:
    assert is_guard(text) is fine


@pytest.mark.parametrize(
    ("target", "fine"),
    [
        ("torch.ops.aten.conv3d.default", True),
        ("torch.ops.aten.__and__.Tensor", True),
        ("torch.ops.higher_order.wrap_with_set_grad_enabled", True),
        ("torch.sym_min", True),
        ("_operator.floordiv", True),
        ("_operator.attrgetter", False),
        ("math.__loader__.load_module", False),
        ("torch.os.system", False),
        ("torch.ops.aten.from_file.default", False),
        ("torch.ops.aten.__class__.__init__", False),
        ("torch.ops.load_library", False),
        ("torch.ops.profiler._record_function_enter.default", False),
        ("#registered", False),
    ],
)
def test_operators_compute(target: str, fine: bool) -> None:
    assert is_operator(target) is fine
