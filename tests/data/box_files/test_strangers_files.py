"""Pickles and XML of strangers run nothing and fill no memory."""

import os
import pickle
from pathlib import Path
from xml.etree.ElementTree import parse

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.data.box_files.plain_pickle import as_array, read_pickle
from videxp.data.box_files.safe_xml import read_xml


class Runs:
    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.file,)


def test_a_pickle_that_runs_a_function_is_refused(tmp_path: Path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"labels": Runs(str(tmp_path / "made"))}))
    with pytest.raises(BadRequest, match=r"a.pkl is no pickle of plain containers and arrays: it names posix.mkdir"):
        read_pickle(tmp_path / "a.pkl")
    assert not (tmp_path / "made").exists()
    pickle.loads((tmp_path / "a.pkl").read_bytes())
    assert (tmp_path / "made").exists(), "the stock way runs it"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(15, dtype=np.float32).reshape(3, 5),
        np.asfortranarray(np.arange(15.0).reshape(3, 5)),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array([True, False]),
        np.zeros((0, 5)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_are_read_as_they_were_pickled(array: np.ndarray, protocol: int, tmp_path: Path):
    content = {"a": [array, {1: (2, "b", None, 3.5)}], "n": np.int64(7), "f": np.float32(0.5)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickle(tmp_path / "a.pkl")
    assert (found["a"][1], found["n"], found["f"]) == ({1: (2, "b", None, 3.5)}, 7, 0.5)
    read = as_array(found["a"][0])
    assert read is not None and read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_pickle_of_python_2_is_read(tmp_path: Path):
    """As `cPickle.dump({'a': numpy.array([1., 2.])}, file, 2)` of Python 2 wrote it, whose strings are bytes."""
    raw = np.array([1.0, 2.0]).tobytes()
    (tmp_path / "a.pkl").write_bytes(
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + raw + b"tbs."
    )  # fmt: skip
    read = as_array(read_pickle(tmp_path / "a.pkl")["a"])
    assert read is not None and read.tolist() == [1.0, 2.0]


def test_pickles_that_ask_for_memory_are_refused(tmp_path: Path):
    bombs = {
        "room": b"\x80\x02]r\xff\xff\xff\x7f.",  # LONG_BINPUT: a table of 2^31 entries
        "shape": pickle.dumps(np.zeros(4)).replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85"),
        "length": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\x00\x00ab.",  # BINBYTES8
        "objects": pickle.dumps(np.array([{}], dtype=object)),
        "cut off": pickle.dumps([1, 2, 3])[:-4],
    }
    for name, data in bombs.items():
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(BadRequest, match=r"a.pkl is no pickle of plain containers and arrays"):
            print(name, read_pickle(tmp_path / "a.pkl"))


def test_xml_with_entities_is_refused_before_they_are_read(tmp_path: Path):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(5))
    (tmp_path / "a.xml").write_text(f"<!DOCTYPE a [{entities}]><a>&e3;</a>")
    assert len(parse(tmp_path / "a.xml").getroot().text or "") == 2000, "the stock way lets them grow"
    with pytest.raises(BadRequest, match=r"a.xml, line 1: a document type"):
        read_xml(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text('<!DOCTYPE a SYSTEM "/etc/passwd"><a/>')
    with pytest.raises(BadRequest, match=r"b.xml, line 1: a document type"):
        read_xml(tmp_path / "b.xml")


def test_xml_that_is_too_deep_or_damaged_is_refused(tmp_path: Path):
    (tmp_path / "a.xml").write_text("<a>\n" * 100_000)
    with pytest.raises(BadRequest, match=r"a.xml, line 51: elements within 50 others"):
        read_xml(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<a>\n<b></a>")
    with pytest.raises(BadRequest, match=r"a.xml: no XML: mismatched tag: line 2"):
        read_xml(tmp_path / "a.xml")
