"""What is printed shows every character of a name, obeys none, and holds no key."""

import io
import json
import os
import random
import sys

import pytest
from rich.live import Live

from videxp import cli
from videxp.core.console import Console
from videxp.core.printable import as_json, clean_streams, printable

TITLE = "\x1b]0;PWNED\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("walk/é 走.mp4\tb\n", "walk/é 走.mp4\tb\n"),
        (f"a{TITLE}.mp4", r"a\x1b]0;PWNED\x07.mp4"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("over\rwritten\x08", r"over\x0dwritten\x08"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        (b"caf\xe9.mp4".decode("utf-8", "surrogateescape"), r"caf\xe9.mp4"),
    ],
)
def test_a_character_that_is_not_to_be_seen_is_written_out(text: str, shown: str):
    assert printable(text) == shown


def test_whatever_is_printed_a_terminal_gets_text_only():
    draw = random.Random(0)
    with clean_streams():
        stream, sys.stdout.stream = sys.stdout.stream, io.TextIOWrapper(io.BytesIO(), "utf-8")
        for _ in range(300):
            print("".join(map(chr, draw.choices([*range(256), *range(0xD800, 0xE000), 0x202E, 0x1F600], k=20))))
        sys.stdout.flush()
        written, sys.stdout.stream = sys.stdout.buffer.getvalue(), stream
    assert len(written) > 300 * 20
    assert {c for c in written.decode() if not c.isprintable()} <= set("\t\n\xa0\xad")  # a space, a soft hyphen


def test_a_table_keeps_its_own_colors_and_writes_out_those_of_a_name():
    from rich.table import Table
    from rich.text import Text

    def painted(console_class: type) -> str:
        file = io.StringIO()
        table = Table()
        table.add_column(Text(f"run{TITLE}", style="bold"))
        console_class(file=file, force_terminal=True, color_system="standard", width=80).print(table)
        return file.getvalue()

    import rich.console

    assert "\x1b]0;PWNED" in painted(rich.console.Console)  # the usual way
    assert "\x1b]0;PWNED" not in painted(Console)
    assert r"run\x1b]0;P" in painted(Console) and "\x1b[1m" in painted(Console)


def test_errors_are_printed_without_escape_sequences_and_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SERVICE_API_KEY", "0f1e2d3c4b5a6978")
    for argument in (f"runs{TITLE}", "runs/0f1e2d3c4b5a6978", "https://me:pa55w0rd@host/x"):
        assert cli.main(["compare", argument]) == 2
    said = capsys.readouterr().err
    assert r"runs\x1b]0;PWNED\x07" in said and TITLE not in said
    assert "0f1e2d3c4b5a6978" not in said and "pa55w0rd" not in said and said.count("<redacted>") == 2


def test_json_that_is_printed_is_json_with_the_same_names():
    names = ["é 走", os.fsdecode(b"caf\xe9"), r"\udce9", TITLE, "\u202e", '"\\\n\t']
    assert json.loads(printable(as_json(names, indent=1))) == names
    assert "é 走" in as_json(names)


def test_a_line_that_moves_is_painted_by_the_terminal_and_what_is_printed_meanwhile_is_text(
    capsys: pytest.CaptureFixture[str],
):
    with clean_streams():
        console = Console(force_terminal=True, width=40, color_system=None)
        with Live("painted", console=console, auto_refresh=False) as live:
            live.update("painted again", refresh=True)
            print(TITLE)
    shown = capsys.readouterr().out
    assert "\x1b[2K" in shown and r"\x1b[2K" not in shown  # a line is cleared, not its clearing shown
    assert "0;PWNED" in shown and TITLE not in shown and "\x07" not in shown
