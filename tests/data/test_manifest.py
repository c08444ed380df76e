import pickle
from math import isnan, nan
from pathlib import Path

import pytest

from videxp.core.errors import BadRequest
from videxp.data.manifest import Facts, Manifest, Row, Strings, sorted_classes


def manifest(rows: list[tuple[Row, Facts]], root: str = "/data") -> Manifest:
    return Manifest.from_rows(
        rows, name="x", root=root, classes=sorted_classes("|".join(row.labels) for row, _ in rows)
    )


ROWS = [
    (Row("b.mp4", "train", ("run",)), Facts(size_bytes=2, content_hash="bb", num_frames=30, fps=30000 / 1001)),
    (Row("a.mp4", "train", ("run",), 1.5, 2.5), Facts(size_bytes=1, content_hash="aa", num_frames=10, fps=10.0)),
    (Row("c.mp4", "test", ("walk",)), Facts(size_bytes=3, content_hash="cc", num_frames=5, fps=25.0)),
    (Row("d.mp4", "train", ("walk",)), Facts(error="no video stream")),
]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    manifest(ROWS).write(tmp_path / "m.tsv")
    read = Manifest.read(tmp_path / "m.tsv")
    assert [read.row(i)["path"] for i in range(4)] == ["a.mp4", "b.mp4", "d.mp4", "c.mp4"]  # train by path, then test
    assert read.row(0)["start_seconds"] == 1.5
    assert isnan(read.row(1)["start_seconds"])
    assert read.row(1)["fps"] == 30000 / 1001  # to the last bit
    assert read.classes == ["run", "walk"]
    assert read.fingerprint == manifest(ROWS).fingerprint


@pytest.mark.parametrize(
    "name", ["tab\there.mp4", "line\nbreak.mp4", "back\\slash\\n.mp4", "ümläut.mp4", "\udcff.mp4", "\x85.mp4"]
)
def test_any_file_name_survives(name: str, tmp_path: Path) -> None:
    manifest([(Row(name, "train", ("a",)), Facts())]).write(tmp_path / "m.tsv")
    assert list(Manifest.read(tmp_path / "m.tsv")["path"]) == [name]


def test_unreadable_files_are_listed_but_are_no_samples() -> None:
    x = manifest(ROWS)
    assert x.counts == {"train": 2, "val": 0, "test": 1}
    assert x.unreadable == {"d.mp4": "no video stream"}


def test_the_fingerprint_knows_content_not_place_time_or_order() -> None:
    same = [(row, Facts(**vars(facts) | {"mtime_ns": 99, "decoder": "pyav"})) for row, facts in reversed(ROWS)]
    assert manifest(same, root="/elsewhere").fingerprint == manifest(ROWS).fingerprint
    changes = [
        (Row("B.mp4", "train", ("run",)), ROWS[0][1]),
        (Row("b.mp4", "train", ("walk",)), ROWS[0][1]),
        (Row("b.mp4", "val", ("run",)), ROWS[0][1]),
        (Row("b.mp4", "train", ("run",), 0.0, nan), ROWS[0][1]),
        (ROWS[0][0], Facts(**vars(ROWS[0][1]) | {"content_hash": "other"})),
    ]
    prints = {manifest([changed, *ROWS[1:]]).fingerprint for changed in changes}
    assert len(prints | {manifest(ROWS).fingerprint}) == 6


def test_numbers_are_ordered_as_numbers() -> None:
    assert sorted_classes(["10", "2", "2"]) == ["2", "10"]
    assert sorted_classes(["10", "2", "x"]) == ["10", "2", "x"]


def test_a_hundred_thousand_strings_are_two_arrays() -> None:
    names = [f"train/class_{i % 400}/video_{i:06d}.mp4" for i in range(100_000)]
    packed = Strings.pack(names)
    assert len(pickle.dumps(packed)) < sum(map(len, names)) + 8 * len(names) + 1000
    assert packed[99_999] == packed[-1] == names[-1]
    assert list(packed[[5, 3]]) == [names[5], names[3]]


def test_a_file_that_is_no_manifest_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is not prepared"):
        Manifest.read(tmp_path / "none.tsv")
    for text in ("", "path\tlabel\na\tb\n", '# videxp manifest {"format": 0}\npath\n'):
        (tmp_path / "m.tsv").write_text(text)
        with pytest.raises(BadRequest, match="no manifest of this version"):
            Manifest.read(tmp_path / "m.tsv")
