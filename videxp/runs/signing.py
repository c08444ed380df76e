"""Signatures of files: Ed25519 over the canonical JSON of their hashes, in a file of its own beside them.

NAME.sig.json of a file or a folder of files, run.sig.json in a run folder. Which key is to be trusted, whoever verifies
says: a signature alone proves that nothing changed since somebody signed it.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest, require_installed
from videxp.core.files import hash_file, is_run_folder, read_json
from videxp.core.outputs import RUN_FILES
from videxp.runs.folder import write_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT = 1
SUFFIX = ".sig.json"
LEFT_OUT = ("log.txt",)
"""Of a run's own files: what goes on growing."""
MADE_LATER = frozenset({"evaluation.json", "predictions.csv", "robustness.jsonl", "card.md"})
"""Of a run's own files: what commands make anew."""
HOW = "openssl genpkey -algorithm ed25519 -out KEY.pem; openssl pkey -in KEY.pem -pubout -out PUB.pem"


def signature_path(target: Path) -> Path:
    """a/model.onnx -> a/model.onnx.sig.json; a run folder -> RUN/run.sig.json."""
    return target / f"run{SUFFIX}" if is_run_folder(target) else target.with_name(f"{target.name}{SUFFIX}")


def files_of(target: Path) -> list[Path]:
    """What a signature of the target covers: the file, and its weights; a run's own files and checkpoints; all files of
    a folder."""
    if not target.is_dir():
        weights = target.with_suffix(".bin")  # of OpenVINO
        return [target, weights] if target.suffix == ".xml" and weights.exists() else [target]
    if is_run_folder(target):
        own = [target / name for name in sorted(RUN_FILES) if name not in LEFT_OUT]
        return [file for file in (*own, *sorted(target.glob("checkpoints/*.ckpt"))) if file.is_file()]
    return sorted(file for file in target.rglob("*") if file.is_file())


def write_signature(target: Path, key: Path, *, beside: Sequence[Path] = ()) -> Path:
    """Sign the target and the files beside it that belong to it, such as its weights; returns the signature's path.

    Raises BadRequest for a key that is none, NotInstalled without cryptography.
    """
    private = _private_key(key)
    path = signature_path(target)
    hashes = {_name(file, path): _sha256(file) for file in (*files_of(target), *beside)}
    write_json(
        path,
        {
            "format": FORMAT,
            "algorithm": "Ed25519",
            "files": hashes,
            "public_key": private.public_key().public_bytes_raw().hex(),
            "signature": private.sign(_message(hashes)).hex(),
        },
    )
    return path


def require_private_key(key: Path) -> None:
    """Raises as `write_signature` does, before any work."""
    _private_key(key)


def verify_signature(target: Path, key: Path | None = None, *, ignored: Collection[str] = ()) -> list[str]:
    """A line for each thing that is wrong; none where all files are as they were signed, by `key` if one is given.

    ignored: names of files that may have changed.
    Raises BadRequest where there is no signature, or none that can be read, and for a key that is none.
    """
    trusted = None if key is None else _public_key(key).public_bytes_raw().hex()
    path = signature_path(target)
    signed = _read(path)
    hashes: dict[str, str] = signed["files"]
    if trusted is not None and trusted != signed["public_key"]:
        return [f"{path}: signed by another key: {short(signed['public_key'])}, not {short(trusted)}"]
    if not _is_genuine(signed):
        return [f"{path}: was changed after it was signed: its signature does not fit"]
    compared = {name: digest for name, digest in hashes.items() if name not in ignored}
    found = [trouble for name, digest in compared.items() if (trouble := _trouble(path.parent / name, digest))]
    known = {(path.parent / name).resolve() for name in (*hashes, *ignored)}
    added = [file for file in files_of(target) if file.exists() and file.resolve() not in known | {path.resolve()}]
    return [*found, *(f"{file}: is not among the signed files" for file in added)]


def require_signed(target: Path, key: Path) -> None:
    """Before something is loaded. What is made of a run later on, such as its evaluation, may have changed since.

    Raises BadRequest where the target was not signed by `key`, or is not as it was signed.
    """
    if troubles := verify_signature(target, key, ignored=MADE_LATER if is_run_folder(target) else ()):
        raise BadRequest(f"refused by --verify: {troubles[0]}")


def signer(target: Path) -> str:
    """The first digits of the public key that signed the target."""
    return short(_read(signature_path(target))["public_key"])


def short(public_key: str) -> str:
    return f"key {public_key[:16]}"


def _trouble(file: Path, digest: str) -> str:
    if not file.is_file():
        return f"{file}: is missing"
    return "" if _sha256(file) == digest else f"{file}: is not as it was signed"


def _name(file: Path, signature: Path) -> str:
    """Relative to the signature's folder, with slashes. Raises BadRequest for a file outside of it."""
    folder = signature.parent.resolve()
    if not file.resolve().is_relative_to(folder):
        raise BadRequest(f"{file}: is not in {folder}, so it cannot be signed with what is there")
    return file.resolve().relative_to(folder).as_posix()


def _message(hashes: dict[str, str]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps({"files": hashes, "format": FORMAT}, sort_keys=True, separators=(",", ":")).encode("ascii")


def _sha256(file: Path) -> str:
    return hash_file(file, hashlib.sha256())


def _read(path: Path) -> dict[str, Any]:
    try:
        signed = read_json(path)
    except FileNotFoundError:
        raise BadRequest(f"{path}: there is no signature; --sign KEY.pem makes one") from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path}: cannot be read: {error}") from None
    texts = isinstance(signed, dict) and all(isinstance(signed.get(key), str) for key in ("public_key", "signature"))
    files = signed.get("files") if texts else None
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise BadRequest(f"{path}: is no signature of videxp")
    if signed.get("format") != FORMAT:
        raise BadRequest(f"{path}: format {signed.get('format')!r}; this version of videxp reads {FORMAT}")
    if outside := [name for name in files if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise BadRequest(f"{path}: refused: {outside[0]!r} lies outside its folder")
    return signed


def _is_genuine(signed: dict[str, Any]) -> bool:
    require_installed("cryptography", extra="sign")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["public_key"]))
        public.verify(bytes.fromhex(signed["signature"]), _message(signed["files"]))
    except (InvalidSignature, ValueError):
        return False
    return True


def _private_key(path: Path) -> "Ed25519PrivateKey":
    require_installed("cryptography", extra="sign")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise BadRequest(f"{path}: no private key that can be read: {_cause(error)}\n{HOW}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadRequest(f"{path}: is no Ed25519 key\n{HOW}")
    return key


def _public_key(path: Path) -> "Ed25519PublicKey":
    require_installed("cryptography", extra="sign")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        content = path.read_bytes()
        if b"PRIVATE KEY" in content:
            raise BadRequest(f"{path}: is a private key: openssl pkey -in {path} -pubout -out PUB.pem")
        key = load_pem_public_key(content)
    except (OSError, ValueError, TypeError) as error:
        raise BadRequest(f"{path}: no public key that can be read: {_cause(error)}\n{HOW}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadRequest(f"{path}: is no Ed25519 key\n{HOW}")
    return key


def _cause(error: Exception) -> str:
    """The system's words; those of the library run over many lines."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is encrypted" if "ncrypted" in str(error) else "it is no PEM of a key"
