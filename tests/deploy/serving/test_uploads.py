"""Forms as they come in, in pieces of any size, and what is refused of them."""

import random

import pytest
import requests

from videxp.deploy.serving.refusal import Refused, without_paths
from videxp.deploy.serving.uploads import BOUNDARY, Form

FILES = [b"", b"\r\n", b"\r\n--", b"a\r\n--b\r\n--xyz--\r\n" * 40, bytes(range(256)) * 20]


def form_of(*parts: tuple[str, tuple[str | None, bytes]]) -> tuple[str, bytes]:
    """(content type, body) as another library writes them."""
    sent = requests.Request("POST", "http://localhost", files=list(parts)).prepare()
    assert isinstance(sent.body, bytes)
    return sent.headers["Content-Type"], sent.body


def read(content_type: str, body: bytes, *, rng: random.Random) -> tuple[Form, bytes]:
    found = BOUNDARY.match(content_type)
    assert found is not None
    form, content = Form((found[1] or found[2]).encode()), b""
    while body:
        size = rng.choice([1, 2, 7, 100, 5000])
        content += b"".join(form.feed(body[:size]))
        body = body[size:]
    return form, content


@pytest.mark.parametrize("content", FILES, ids=range(len(FILES)))
def test_a_file_comes_out_as_it_went_in(content: bytes):
    head, body = form_of(("note", (None, b"video")), ("video", ("C:\\x\\a b.mp4", content)), ("more", ("b.bin", b"\0")))
    for seed in range(20):
        form, got = read(head, body, rng=random.Random(seed))
        assert got == content and form.is_whole and form.name == "a b.mp4"


def test_a_form_that_breaks_off_is_not_whole_and_two_files_are_too_many():
    head, body = form_of(("video", ("a.mp4", b"0123456789")))
    form, _ = read(head, body[:-8], rng=random.Random(0))
    assert not form.is_whole
    head, body = form_of(("video", ("a.mp4", b"0")), ("video", ("b.mp4", b"1")))
    with pytest.raises(Refused, match="two files"):
        read(head, body, rng=random.Random(0))
    with pytest.raises(Refused, match="not well-formed"):
        list(Form(b"x").feed(b"--x\r\n" + b"a: b\r\n" * 5000))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/tmp/s/ab12/video: the file is empty\nmore", "the video: the file is empty"),
        ("cannot read frame 3 of '/tmp/s/ab12/video'", "cannot read frame 3 of 'the video'"),
        ("/tmp/s/ab12/video: see /home/someone/x.py", "the video cannot be answered"),
        ("at 24/7 fps and 3/4 of it", "at 24/7 fps and 3/4 of it"),
    ],
)
def test_messages_have_no_paths(text: str, told: str):
    assert without_paths(text, folder="/tmp/s/ab12") == told
