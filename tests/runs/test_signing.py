"""Signatures, made and checked by the cryptography package and by our own reading of the file."""

import hashlib
import json
from pathlib import Path

import pytest

from videxp.core.errors import BadRequest
from videxp.runs.signing import (
    files_of,
    require_private_key,
    require_signed,
    signature_path,
    verify_signature,
    write_signature,
)

pytest.importorskip("cryptography", reason="cryptography is not installed: signatures are not checked")

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def put_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """(KEY.pem, PUB.pem)."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """(a model with a file beside it, both signed; the public key)."""
    private, public = put_keys(tmp_path, "mine")
    model, weights = tmp_path / "model.xml", tmp_path / "model.bin"
    model.write_bytes(b"graph")
    weights.write_bytes(b"weights")
    assert write_signature(model, private, beside=[weights]) == tmp_path / "model.xml.sig.json"
    return model, public


def test_a_signature_is_ed25519_over_the_canonical_json_of_the_hashes(signed: tuple[Path, Path]):
    model, public = signed
    said = json.loads(signature_path(model).read_text())
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert said["files"] == hashes
    message = (
        f'{{"files":{{"model.bin":"{hashes["model.bin"]}","model.xml":"{hashes["model.xml"]}"}},"format":1}}'
    ).encode()
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["public_key"]))
    key.verify(bytes.fromhex(said["signature"]), message)  # raises where it does not fit
    assert verify_signature(model, public) == verify_signature(model) == []


FILES = {"model.xml": b"graph", "model.bin": b"weights"}


def test_a_changed_file_a_missing_one_and_another_key_are_each_told(signed: tuple[Path, Path], tmp_path: Path):
    model, public = signed
    _, other = put_keys(tmp_path, "other")
    (told,) = verify_signature(model, other)
    assert "signed by another key" in told

    weights = tmp_path / "model.bin"
    weights.write_bytes(b"weightz")  # of the same size
    assert verify_signature(model, public) == [f"{weights}: is not as it was signed"]
    weights.unlink()
    assert verify_signature(model, public) == [f"{weights}: is missing"]


def test_hashes_that_were_made_to_fit_changed_files_do_not_fit_the_signature(signed: tuple[Path, Path], tmp_path: Path):
    model, public = signed
    model.write_bytes(b"other graph")
    path = signature_path(model)
    said = json.loads(path.read_text())
    said["files"]["model.xml"] = hashlib.sha256(b"other graph").hexdigest()
    path.write_text(json.dumps(said))
    assert all(hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() == h for n, h in said["files"].items())
    assert "its signature does not fit" in verify_signature(model, public)[0]  # though hashes alone agree
    said["files"] = {"../mine.pem": "0"}
    path.write_text(json.dumps(said))
    with pytest.raises(BadRequest, match="lies outside"):
        verify_signature(model, public)


def test_a_folder_is_signed_whole_and_what_is_added_is_told(tmp_path: Path):
    private, public = put_keys(tmp_path, "mine")
    folder = tmp_path / "repository/model/1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")
    top = tmp_path / "repository"
    write_signature(top, private)
    assert verify_signature(top, public) == []
    assert files_of(top) == [folder / "model.onnx"]
    (folder / "model.py").write_text("import os")
    assert verify_signature(top, public) == [f"{folder / 'model.py'}: is not among the signed files"]


def test_what_is_no_key_and_what_has_no_signature_is_refused_in_a_line_or_two(tmp_path: Path):
    (tmp_path / "empty.pem").write_text("nothing")
    key = generate_private_key(SECP256R1())
    content = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    (tmp_path / "ec.pem").write_bytes(content)
    for name, words in (("empty", "no PEM of a key"), ("ec", "no Ed25519 key"), ("none", "No such file")):
        with pytest.raises(BadRequest, match=words):
            require_private_key(tmp_path / f"{name}.pem")
    with pytest.raises(BadRequest, match="there is no signature"):
        verify_signature(tmp_path / "ec.pem")


def test_a_private_key_in_the_place_of_the_public_one_is_told(signed: tuple[Path, Path], tmp_path: Path):
    private, _ = put_keys(tmp_path, "other")
    with pytest.raises(BadRequest, match=r"is a private key: openssl pkey -in .* -pubout"):
        verify_signature(signed[0], private)


def test_a_run_may_be_tested_again_after_it_was_signed_but_not_trained_again(tmp_path: Path):
    private, public = put_keys(tmp_path, "mine")
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "provenance.json", "status.json", "evaluation.json", "checkpoints/best.ckpt"):
        (run / name).write_text("{}")
    write_signature(run, private)
    require_signed(run, public)
    for name in ("evaluation.json", "predictions.csv"):
        (run / name).write_text("other figures")
    assert f"{run / 'evaluation.json'}: is not as it was signed" in verify_signature(run, public)
    require_signed(run, public)  # what is loaded of it is the same
    for name in ("checkpoints/best.ckpt", "config.yaml", "checkpoints/last.ckpt"):
        before = (run / name).read_text() if (run / name).exists() else None
        (run / name).write_text("of someone else")
        with pytest.raises(BadRequest, match=f"refused by --verify: .*{name}: is not a"):
            require_signed(run, public)
        (run / name).unlink() if before is None else (run / name).write_text(before)
