"""Names that are not UTF-8, and names as long as a name may be."""

import csv
import io
import itertools
import json
import os
from pathlib import Path

import pytest
import yaml

from videxp.core.files import escape_name, replacing, sweep, unescape_name, write_csv, write_text

LATIN1 = os.fsdecode(b"caf\xe9.mp4")


def test_every_name_comes_back_from_its_escape():
    pieces = ["\\", "\udce9", "udce9", "\udc80", "é"]
    names = ["".join(some) for count in range(6) for some in itertools.product(pieces, repeat=count)]
    escaped = [escape_name(name) for name in names]
    assert [unescape_name(text) for text in escaped] == names
    assert len(set(escaped)) == len(set(names)) and all(text.encode("utf-8") for text in escaped if text)
    assert escape_name(LATIN1) == r"caf\udce9.mp4"
    for ordinary in ("a.mp4", r"C:\films\udon.mp4", "日本/e\u0301.mp4", "%41 {} [x] 'q' \"q\"\n"):
        assert escape_name(ordinary) == ordinary


def test_json_yaml_and_csv_hold_a_name_that_is_not_utf8(tmp_path: Path):
    with pytest.raises(UnicodeEncodeError):
        (tmp_path / "stock.json").write_text(json.dumps([LATIN1], ensure_ascii=False), encoding="utf-8")
    write_text(tmp_path / "a.json", json.dumps([LATIN1, r"\udce9"], ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_bytes()) == [LATIN1, r"\udce9"]
    write_text(tmp_path / "a.yaml", yaml.safe_dump([LATIN1], allow_unicode=True))
    assert yaml.safe_load((tmp_path / "a.yaml").read_bytes()) == [LATIN1]
    text = io.StringIO()
    write_csv(text, [{"path": LATIN1, "loss": 0.5, "more": 1}, {"path": 'a,"\nb'}], ["path", "loss"])
    rows = list(csv.reader(io.StringIO(text.getvalue().encode("utf-8").decode("utf-8"))))
    assert [[unescape_name(cell) for cell in row] for row in rows] == [
        ["path", "loss"],
        [LATIN1, "0.5"],
        ['a,"\nb', ""],
    ]


@pytest.mark.parametrize("name", ["x" * 250 + ".mp4", "あ" * 83 + ".mp4", "a." + "x" * 250, "[*?]" * 60 + ".json"])
def test_a_name_of_full_length_can_be_replaced_and_swept(tmp_path: Path, name: str):
    path = tmp_path / name
    write_text(path, "old")
    write_text(path, "new")
    assert path.read_text() == "new"
    with replacing(path) as temporary:
        temporary.with_name(temporary.name).touch()
        left = temporary.with_name(temporary.name.replace(temporary.stem[-4:], "kill"))
        left.touch()
    sweep(path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
