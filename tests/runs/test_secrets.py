"""A key planted in six ways leaves no trace in anything that a run writes. Plain Hydra and W&B let it through."""

import gzip
import random
import string
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import clean_environment, videxp
from tests.shrink import tiny
from videxp.config.composing.overriding import check_overrides
from videxp.config.redaction import redacted, redacted_keys, redacted_overrides
from videxp.core.secrets import known_secrets, looks_random, scrubbed

WAYS = ["environment", "oc_env", "command_line", "env_set", "dotenv", "netrc"]

MODEL = """
import logging
import os
from torch import Tensor, nn


class Chatty(nn.Module):
    '''A model that takes keys and talks about them.'''

    def __init__(self, *, num_classes: int = 400, api_key: str = "", endpoint: str = "") -> None:
        super().__init__()
        log = logging.getLogger("videxp")
        log.warning("key %s endpoint %s env %s", api_key, endpoint, os.environ["WANDB_API_KEY"])
        log.warning(open(".env").read() + open(".netrc").read())
        self.head = nn.Linear(3, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(video.mean(dim=(1, 3, 4)))
"""


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    """40 characters each, as W&B's are."""
    draw = random.Random(0)
    return {way: "k1" + "".join(draw.choices(string.ascii_letters + string.digits, k=38)) for way in WAYS}


def plant(folder: Path, keys: dict[str, str]) -> dict[str, str]:
    """Files with keys, in a git repository where they are committed and changed; the environment that goes with it."""
    (folder / "chatty.py").write_text(MODEL)
    (folder / ".env").write_text("OTHER=1\n")
    (folder / ".netrc").write_text("machine example.org login me password none\n")
    for command in (["init"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, env=clean_environment(folder))
    (folder / ".env").write_text(f"OTHER=1\nSERVICE_TOKEN='{keys['dotenv']}'\n")
    (folder / ".netrc").write_text(f"machine api.wandb.ai login user password {keys['netrc']}\n")
    (folder / "settings.py").write_text(
        f"api_key = '{keys['environment']}'\nnetrc = ['{keys['netrc']}']\n"
    )  # untracked
    (folder / "chatty.py").write_text(MODEL + f"# {keys['dotenv']}\n")  # in the diff
    return {
        "WANDB_API_KEY": keys["environment"],
        "WANDB_MODE": "offline",
        "PLANTED": keys["oc_env"],
        "NETRC": str(folder / ".netrc"),
        "VIDEXP_ALLOW": "chatty",
    }


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All bytes beneath a folder: as they are, unpacked where packed, W&B's records without their frames."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        yield str(path.relative_to(folder)), data
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from ((f"{path.name}:{name}", archive.read(name)) for name in archive.namelist())
        if data[:2] == b"\x1f\x8b":
            yield f"{path.name}:gzip", gzip.decompress(data)
        if path.suffix == ".wandb":
            yield f"{path.name}:records", without_frames(data)


def without_frames(data: bytes) -> bytes:
    """LevelDB's log: blocks of 32 KiB, chunks of checksum (4), length (2), type (1), payload; 7 bytes on top."""
    joined, position = b"", 7
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        length = int.from_bytes(data[position + 4 : position + 6], "little")
        joined += data[position + 7 : position + 7 + length]
        position += 7 + length
    return joined


def leaks(folder: Path, keys: dict[str, str]) -> dict[str, list[str]]:
    found = {way: [name for name, data in contents(folder) if key.encode() in data] for way, key in keys.items()}
    return {way: names for way, names in found.items() if names}


def test_a_key_in_env_set_is_refused_and_not_shown(keys: dict[str, str]):
    (problem,), _ = check_overrides([f"+hydra.job.env_set={{ANYTHING:{keys['env_set']}}}"])
    assert "set environment variables before videxp" in str(problem) and keys["env_set"] not in str(problem)


@pytest.mark.slow
def test_no_key_of_six_is_in_any_byte_of_the_run_folder(tmp_path: Path, keys: dict[str, str]):
    environment = plant(tmp_path, keys)
    overrides = [
        "model._target_=chatty.Chatty",
        f"+model.api_key={keys['command_line']}",
        "+model.endpoint='${oc.env:PLANTED}'",
        "run.notes='${oc.env:PLANTED}'",
        f"run.tags=[{keys['environment']}]",  # the shell put $WANDB_API_KEY there
        "trainer=quick",
        "hydra.run.dir=runs/a",
    ]
    known = {"trainer.max_epochs", "trainer.log_every_n_steps"}
    shrunk = [text for text in tiny() if text.partition("=")[0] not in known]
    done = videxp("train", "classification/moving_digits", *shrunk, *overrides, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs/a"
    assert leaks(run, keys) == {}
    log = (run / "log.txt").read_text()
    assert log.count("<redacted>") >= 5  # it did talk, and was not heard
    provenance = (run / "provenance.json").read_text()
    assert "settings.py" in provenance and "chatty.py" in provenance and "<redacted>" in provenance
    assert next(run.rglob("*.wandb")).stat().st_size > 1000 and list(run.rglob("last.ckpt"))


PLAIN = """
import os
import hydra
import wandb
from omegaconf import DictConfig, OmegaConf

@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> None:
    run = wandb.init(dir=hydra.core.hydra_config.HydraConfig.get().runtime.output_dir, mode="offline",
                     config=OmegaConf.to_container(cfg, resolve=True), settings=wandb.Settings(save_code=True))
    run.log({"loss": 1.0})
    run.finish()

main()
"""


@pytest.mark.slow
def test_plain_hydra_and_wandb_leak_four_of_the_six(tmp_path: Path, keys: dict[str, str]):
    """The negative control, planted in the same way. (They write no environment and no .netrc of their own accord.)"""
    environment = plant(tmp_path, keys)
    (tmp_path / "plain.py").write_text(PLAIN)
    overrides = [
        f"+model.api_key={keys['command_line']}",
        "+model.endpoint=${oc.env:PLANTED}",
        f"+hydra.job.env_set={{ANYTHING:{keys['env_set']}}}",
        "hydra.run.dir=runs/plain",
    ]
    clean = {**clean_environment(tmp_path), **environment}
    command = [sys.executable, "plain.py", *overrides]
    subprocess.run(command, cwd=tmp_path, env=clean, check=True, capture_output=True, timeout=120)
    found = leaks(tmp_path / "runs/plain", keys)
    assert {"oc_env", "command_line", "env_set", "dotenv"} <= found.keys()
    assert any(name.endswith(":records") for name in found["oc_env"])  # W&B's file is read as it should be


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('API_KEY = "a8Kd93kQw0aaLm12"', 'API_KEY = "<redacted>"'),
        ("wandb_token: a8Kd93kQw0aaLm12", "wandb_token: <redacted>"),
        ("https://me:pa55word@host/x", "https://me:<redacted>@host/x"),
        ("hf_abcdefghijklmnopqrstuv", "<redacted>"),
        ("token = tokenizer.next(2)", "token = tokenizer.next(2)"),
        ("num_tokens: 1568000000", "num_tokens: 1568000000"),
        ("commit 6fdc6c9a6f9c0d3e4b8d", "commit 6fdc6c9a6f9c0d3e4b8d"),
        ("monitor: val/accuracy", "monitor: val/accuracy"),
        (
            "GET https://b.s3.amazonaws.com/a?X-Amz-Expires=9&X-Amz-Credential=AK%2F1&X-Amz-Signature=0f1e2d",
            "GET https://b.s3.amazonaws.com/a?X-Amz-Expires=9&X-Amz-Credential=<redacted>&X-Amz-Signature=<redacted>",
        ),
        (
            "https://a.blob.core.windows.net/c?sv=2022&sig=ab%2Bcd&se=1",
            "https://a.blob.core.windows.net/c?sv=2022&sig=<redacted>&se=1",
        ),
        ("http://h/x?access_token=s3cr3t#top", "http://h/x?access_token=<redacted>#top"),
        ("Authorization: Bearer abc.def-9", "Authorization: Bearer <redacted>"),
        ("{'authorization': 'Basic dXNlcjpwdw=='}", "{'authorization': 'Basic <redacted>'}"),
        ("curl -H 'bearer 0f1e2d3c4b5a'", "curl -H 'bearer <redacted>'"),
        ("the bearer of news and basic research", "the bearer of news and basic research"),
        ("glpat-abcdefghijklmnopqrst", "<redacted>"),
        ("a?b=1&c=2", "a?b=1&c=2"),
    ],
)
def test_text_that_has_the_form_of_a_credential_is_blotted_out(text: str, kept: str):
    assert scrubbed(text, []) == kept


def test_known_secrets_are_those_named_as_such_here_and_no_word_or_path_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_API_KEY", "correct-horse-9")
    monkeypatch.setenv("A_TOKEN", str(tmp_path))
    monkeypatch.setenv("B_PASSWORD", "password")
    monkeypatch.setenv("PATH_LIKE", "correct-horse-8")
    (tmp_path / ".env").write_text("export DB_PASSWORD='s3cr3t-of-dotenv'\nROOT=/data\nPLAIN=s0me-0rd1nary-id99\n")
    found = known_secrets()
    assert {"correct-horse-9", "s3cr3t-of-dotenv", "s0me-0rd1nary-id99"} <= set(found)
    assert not {str(tmp_path), "password", "correct-horse-8", "/data"} & set(found)


def test_short_words_of_env_and_netrc_files_are_blotted_out_where_they_are_whole_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("DB_PASSWORD", "pgpw7")
    (tmp_path / ".env").write_text("MAIL_PASSWORD=swordfish\nAPI_TOKEN=test\nPIN_SECRET=481516\n")
    (tmp_path / "netrc").write_text("machine a login me password hunter2\nmachine b login me password none\n")
    text = "hunter2, 'swordfish': pgpw7/481516 and hunter22 test/accuracy none step 1481516"
    kept = "<redacted>, '<redacted>': <redacted>/<redacted> and hunter22 test/accuracy none step 1481516"
    assert scrubbed(text) == kept


CONTEXTS = [
    "{}", "'{}'", '{{"a": "{}"}}', "x={};", "https://h/p/{}/q", "https://h/?a=1&b={}#c", "//{}@h", "[{},{}]",
    "\\n{}\\t",
    'File "a.py", line 3\n    f("{}")\nValueError: {} is not valid', "-H 'X-Key: {}'", "<{}>", "({})", "é{}走",
]  # fmt: skip
FORMS = [  # of credentials that nobody has named
    "https://me:{}@host/x", "postgres://u:{}@db:5432/x", "https://h/x?X-Amz-Signature={}", "https://h/x?a=1&sig={}&b=2",
    "Authorization: Bearer {}", '"authorization": "Basic {}"', "API_KEY={}", "db_password: '{}'", "hf_{}", "sk-{}",
    "export SECRET_KEY=\"{}\"", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "ghp_{}", "glpat-{}",
]  # fmt: skip


def test_no_secret_gets_through_wherever_it_stands(monkeypatch: pytest.MonkeyPatch):
    draw = random.Random(0)
    signs = string.ascii_letters + string.digits
    for _ in range(100):
        key = "a1" + "".join(draw.choices(signs + "_-+/=.~", k=draw.randint(10, 60))) + "9z"
        monkeypatch.setenv("SERVICE_TOKEN", key)
        text = " ".join(context.format(*[key] * 3) for context in draw.sample(CONTEXTS, 4))
        assert key not in scrubbed(text), text
        form, value = draw.choice(FORMS), "a1" + "".join(draw.choices(signs, k=draw.randint(24, 40)))
        assert value not in scrubbed(draw.choice(CONTEXTS[:9]).format(*[form.format(value)] * 2), []), form


@pytest.mark.timeout(60)  # each took minutes or hours where the time grew with the square of the length
@pytest.mark.parametrize(
    "piece", ["0f", "a.", "eyJ-", "a:", "x://", "?key", "-----BEGIN ", "bearer ", "authorization ", "a=' "]
)
def test_a_long_text_of_any_form_is_looked_through_in_linear_time(piece: str):
    text = piece * (200_000 // len(piece))
    assert scrubbed(text, []).replace("<redacted>", "")[:2] in ("", text[:2])


def test_overrides_lose_secrets_under_keys_and_in_braces():
    typed = ["model.api_key=abcdefgh1", "+b.token=abcdefgh2", "+a={b: {token: abcdefgh3}, c: 1}", "d=4"]
    shown = " ".join(redacted_overrides(typed))
    assert not any(f"abcdefgh{i}" in shown for i in (1, 2, 3))
    assert "c: 1" in shown and "d=4" in shown
    assert scrubbed("and later abcdefgh3") == "and later <redacted>"
    assert redacted_keys(redacted({"a": [{"token": "abcdefgh3"}], "b": 1})) == ["a[0].token"]


def test_looks_random_tells_keys_from_names():
    assert looks_random("a8Kd93kQw0aaLm12")
    assert not any(
        map(
            looks_random,
            ["classification", "runs/first", "videxp.models.classification.small", "123456789012", "x3d_s"],
        )
    )
