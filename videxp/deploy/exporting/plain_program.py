"""The gate of `.pt2` files. torch reads one by unpickling, importing, evaluating and executing what it holds: a file
from anyone runs what its author likes, even before the first call.

Here a file is read without torch, and only a plain graph passes: tensors as raw bytes, operators that compute, sizes
that are sums and products. Of what passes, a new archive is made, so that torch reads what was looked at and nothing
else.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest

MEMBERS = re.compile(
    r"models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt|extra/\w+"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
)
MODEL, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")

WORD = re.compile(r"[\w.]*", re.ASCII)
VERSION = re.compile(r"[\w.+-]*", re.ASCII)
SYMBOL = re.compile(r"[A-Za-z_]\w*", re.ASCII)
NUMBER = re.compile(r"-?\d+(\.\d*)?(e[+-]?\d+)?")
CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
NAMESPACES = {"aten", "torchvision", "higher_order"}
HIGHER_ORDER = {"scan", "cond", "while_loop", "wrap_with_set_grad_enabled", "wrap_with_autocast"}
REFUSED_OPERATORS = {"aten::from_file"}  # maps any file of the computer, and makes it longer
OPERATOR_MODULE = {
    *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "abs", "getitem", "and_", "or_", "not_"),
    *("eq", "ne", "lt", "le", "gt", "ge", "truth", "pow"),
}
MATH_MODULE = {"trunc", "ceil", "floor", "sqrt", "isnan", "inf", "log2", "exp"}
SYMBOLIC = re.compile(r"sym_(min|max|float|int|ite|not|sqrt|sum)|_sym_(sqrt|log2|exp)")
SIZES = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Min|Max|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|Where"
    r"|(Trunc|Ceil|Floor|Round)ToInt|ToFloat|(Int|Float)TrueDiv|PowByNatural|FloatPow|Identity|OpaqueUnaryFn_(sqrt|log2)"
    r"|Equality|Unequality|(Strict)?(Less|Greater)Than|And|Or|Not"
)
GREATEST_POWER = 8
LONGEST_EXPRESSION = 20_000


def plain_archive(path: Path) -> io.BytesIO:
    """The `.pt2` file as torch may read it, without its example of inputs. Raises BadRequest for any other file."""
    members = read_members(path)
    try:
        model = json.loads(members[MODEL])
        for name in CONFIGS:
            _require_raw(json.loads(members[name]), path)
        problem = next(problems_of(_without_origins(model)), "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest(f"{path}: no .pt2 file, or a damaged one ({type(error).__name__}: {error})") from None
    if problem:
        raise BadRequest(f"{path}: refused: {problem}: it could run code")
    members |= {MODEL: json.dumps(model).encode(), SAMPLES: b""}  # torch unpickles an example of inputs
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for name, content in members.items():
            made.writestr(f"archive/{name}", content)
    archive.seek(0)
    return archive


def read_members(path: Path) -> dict[str, bytes]:
    """Name, without the folder that all lie in -> content. Raises BadRequest for what torch does not write: packed
    members, which may unfold to any size, names of other places, two members of one name, and members of other kinds,
    such as a compiled library."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            for info in infos:
                if info.compress_type != zipfile.ZIP_STORED:
                    raise BadRequest(
                        f"{path}: refused: {info.filename!r} in it is packed, which torch.export never does"
                    )
                if not MEMBERS.fullmatch(info.filename.partition("/")[2]):
                    raise BadRequest(f"{path}: refused: {info.filename!r} in it is no part of an exported graph")
            if len({info.filename.partition("/")[2] for info in infos}) < len(infos):
                raise BadRequest(f"{path}: refused: it holds two members of one name")
            if sum(info.file_size for info in infos) > path.stat().st_size:
                raise BadRequest(f"{path}: refused: it holds more than its own size")
            return {info.filename.partition("/")[2]: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise BadRequest(f"{path}: no .pt2 file, or a damaged one ({error})") from None


def _require_raw(config: Any, path: Path) -> None:
    """Raises BadRequest where tensors are pickled, or not tensors."""
    for name, about in config["config"].items():
        if about["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", about["path_name"]):
            raise BadRequest(f"{path}: refused: {name!r} in it is pickled: it could run code")


def _without_origins(node: Any) -> Any:
    """The same object; of each node of the graph it is left out which line of which file of its author's it is of."""
    if isinstance(node, dict):
        if "target" in node and "metadata" in node:
            node["metadata"] = {}
        for value in node.values():
            _without_origins(value)
    elif isinstance(node, list):
        for value in node:
            _without_origins(value)
    return node


def problems_of(model: Any) -> Iterator[str]:
    """What in a serialized graph is more than a graph."""
    if model["graph_module"].get("treespec_namedtuple_fields"):
        yield "it holds named tuples"
    yield from _problems(model, key="")


def _problems(node: Any, *, key: str) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if not WORD.fullmatch(name):
                yield f"{name!r} is no name"
            yield from _problems(value, key=name)
    elif isinstance(node, list):
        for value in node:
            yield from _problems(value, key=key)
    elif isinstance(node, str) and not CHECKS.get(key, WORD.fullmatch)(node):
        yield f"its {key} {node[:60]!r} is not one that a graph has"


# ---- what strings may be, by their key ------------------------------------------------------------------------------


def is_operator(target: str) -> bool:
    """A function that computes: what `target` names, not how it is spelled."""
    import torch

    if target.startswith("_operator."):
        return target.partition(".")[2] in OPERATOR_MODULE
    if target.startswith("math."):
        return target.partition(".")[2] in MATH_MODULE
    if target.startswith("torch.") and SYMBOLIC.fullmatch(target.partition(".")[2]):
        return True
    words = target.split(".")
    if words[:2] != ["torch", "ops"] or len(words) not in (4, 5) or words[2] not in NAMESPACES:
        return False
    found: Any = torch.ops
    for word in words[2:]:
        found = getattr(found, word, None)
    if words[2] == "higher_order":
        return len(words) == 4 and words[3] in HIGHER_ORDER
    return isinstance(found, type(torch.ops.aten.add.Tensor)) and found.name() not in REFUSED_OPERATORS


def is_size(text: str) -> bool:
    """An expression of sizes as sympy's `srepr` writes it: sums, products and the like of numbers and symbols."""
    return _is_plain(text, _is_size_node)


def is_guard(text: str) -> bool:
    """A condition on the sizes of inputs: `L['clip'].size()[3] >= 2`."""
    return _is_plain(text, _is_guard_node)


def is_structure(text: str) -> bool:
    """How inputs or outputs lie in tuples, lists and dicts: others are imported by their name."""
    try:
        return all(one in CONTAINERS for one in _types(json.loads(text))) if text else True
    except (ValueError, RecursionError):
        return False


def _types(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        if node.get("type") != "collections.OrderedDict" and "default_factory" in str(node.get("context")):
            yield "a default factory"
        yield node.get("type")
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _types(value)


def _is_plain(text: str, allows: Callable[[ast.AST], bool]) -> bool:
    if len(text) > LONGEST_EXPRESSION:
        return False
    try:
        return all(allows(node) for node in ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


ARITHMETIC = (
    *(ast.Expression, ast.Load, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
)


def _is_size_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _is_size_call(node)
    if isinstance(node, ast.Name):
        return bool(SIZES.fullmatch(node.id) or re.fullmatch(r"[a-z]+\d+|true|false", node.id))
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ARITHMETIC)
    if isinstance(node, ast.Constant):  # words only where `_is_size_call` looks at them
        if isinstance(node.value, str):
            return bool(SYMBOL.fullmatch(node.value) or NUMBER.fullmatch(node.value))
        return isinstance(node.value, int | float)
    return isinstance(node, (*ARITHMETIC, ast.keyword))


def _is_size_call(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Name) or not SIZES.fullmatch(node.func.id):
        return False
    name, words = node.func.id, [one.value for one in node.args if isinstance(one, ast.Constant)]
    if any(isinstance(word, str) for word in words) and name not in ("Symbol", "Float"):
        return False  # others evaluate words
    if "Pow" in name:
        power = ast.unparse(node.args[1]) if len(node.args) == 2 else ""
        digits = re.fullmatch(r"(?:Integer\()?-?(\d{1,3})\)?", power)
        return digits is not None and int(digits[1]) <= GREATEST_POWER
    return True


def _is_guard_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and not node.keywords
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in ("torch", "math"):
            return bool(SYMBOLIC.fullmatch(node.attr)) if node.value.id == "torch" else node.attr in MATH_MODULE
        return node.attr == "size"
    if isinstance(node, ast.Name):
        return node.id in ("L", "torch", "math")
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ARITHMETIC)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) or (isinstance(node.value, str) and bool(WORD.fullmatch(node.value)))
    return isinstance(node, (*ARITHMETIC, ast.Subscript))


CHECKS: dict[str, Callable[[str], Any]] = {
    "target": is_operator,
    "expr_str": is_size,
    "guards_code": is_guard,
    "in_spec": is_structure,
    "out_spec": is_structure,
    "torch_version": VERSION.fullmatch,
    "as_float": re.compile(r"-?Infinity|NaN").fullmatch,  # JSON has no such numbers
    "as_string": lambda text: True,  # torch writes them as literals
    "as_strings": lambda text: True,
}
"""Key in the JSON -> whether a string there is harmless; of other keys, words alone are."""
