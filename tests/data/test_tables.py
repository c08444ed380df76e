"""Tables and lists as people hand them in: read without a guess, or refused with file, line, value and a remedy."""

import csv
import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from videxp.core.errors import BadRequest
from videxp.data import HMDB51, UCF101, FrameFolders, Kinetics, ManifestFile, SomethingSomethingV2, VideoLists, prepare
from videxp.data.layouts.base import Layout
from videxp.data.layouts.footage import VideoFolder
from videxp.data.layouts.published_footage import Vimeo90k
from videxp.data.notes import Notes
from videxp.data.preparing.preparation import list_samples

Write = Callable[[str, str], Path]
LINES = [f"v/{i}.mp4,{'abc'[i % 3]},{['train', 'train', 'val', 'test'][i // 3]}" for i in range(12)]
TABLE = "\n".join(["path,label,split", *LINES]) + "\n"
LIST = "".join(f"v/{i}.mp4 {i % 3}\n" for i in range(12))


def refusal(layout: Layout, root: Path) -> str:
    with pytest.raises(BadRequest) as caught:
        list_samples(layout, root, name="mini")
    assert len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


def listed(layout: Layout, root: Path) -> list[tuple[str, str, str]]:
    """(path, label, split) of each sample, sorted."""
    return sorted((row.path, "|".join(row.labels), row.split) for row in list_samples(layout, root, name="mini")[0])


def remedied(layout: Layout, message: str) -> Layout:
    """The layout with the last `dataset.layout.KEY=VALUE` that a message names."""
    key, value = re.findall(r"dataset\.layout\.(\w+)=([^\s;,]+)", message)[-1]
    assert hasattr(layout, key)
    changed = object.__new__(type(layout))
    vars(changed).update(vars(layout) | {key: yaml.safe_load(value)})
    return changed


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_reads_as_pythons_csv_reads_it(write: Write):
    hard = 'path,label,split\n"v/a, b.mp4","say ""hi""",train\nv/c.mp4, b ,train\n\n,,\n"v/d.mp4" ,"b","val"\n'
    root = write("m.csv", hard).parent
    with (root / "m.csv").open(newline="") as file:
        wanted = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)][1:]
    assert [[row.path, "|".join(row.labels), row.split] for row in ManifestFile(file="m.csv").rows(root)] == wanted
    for end in ("\r\n", "\r", "\n"):
        (root / "m.csv").write_bytes(("\ufeff" + TABLE).replace("\n", end).encode())
        assert listed(ManifestFile(file="m.csv"), root) == sorted(tuple(line.split(",")) for line in LINES)


def test_a_tab_parted_table_may_have_marks_and_commas_within_fields(write: Write):
    rows = [('5" wide.mp4', "run, fast"), ("b.mp4", 'he said "hi" twice'), ("c.mp4", 'as "Excel"')]
    cells = [*rows[:2], ("c.mp4", '"as ""Excel"""')]  # a whole field in marks, as spreadsheets write it
    root = write("m.tsv", "".join(f"{a}\t{b}\n" for a, b in [("path", "label"), *cells])).parent
    assert [(row.path, "|".join(row.labels)) for row in ManifestFile(file="m.tsv").rows(root)] == rows


def test_a_quotation_mark_that_is_never_closed_swallows_no_rows(write: Write):
    lines = [*LINES]
    lines[1] = lines[1].replace(",b,", ',"b,')
    lines[6] = lines[6].replace(",val", '",val')
    root = write("m.csv", text := "\n".join(["path,label,split", *lines]) + "\n").parent
    assert len(list(csv.DictReader(text.splitlines(keepends=True)))) == 7  # the stock way: five rows are gone
    message = refusal(ManifestFile(file="m.csv"), root)
    assert f"{root}/m.csv, line 3: a quotation mark without its pair in '\"b,train'" in message
    assert "m.csv, line 8: a quotation mark" in message
    example = re.findall(r"""twice, ("5"" wide\.mp4")""", message)[0]  # the remedy reads as the name that was meant
    write("m.csv", TABLE.replace("v/0.mp4", example))
    assert ('5" wide.mp4', "a", "train") in listed(ManifestFile(file="m.csv"), root)
    write("m.csv", TABLE.replace("v/0.mp4", '5" wide.mp4'))
    assert "line 2: a quotation mark" in refusal(ManifestFile(file="m.csv"), root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("v/0.mp4,a", "v/0, wide.mp4,a", r"line 2: not 3 columns as on top, but 4: a field that holds , stands in"),
        ("v/0.mp4,a,train", "v/0.mp4,a,train,", "line 2: not 3 columns as on top, but 4"),
        ("path,label,split", "path,label,label", "line 1: the column 'label' is named twice"),
        ("path,label,split\n", "", "no column .* among v/0.mp4, a, train: the first line must name the columns"),
        ("v/3.mp4,a", "# v/3.mp4", "line 5: not 3 columns"),
        ("v/3.mp4", "path,label,split\nv/3.mp4", "line 5: the columns' names again: remove this line"),
        ("label", "Label", "no column 'label' among path, Label, split: name it in dataset.layout.label_col"),
        ("v/0.mp4,a", "v\\0.mp4,a", r"line 2: 'v\\\\0.mp4' does not exist: paths are written with /"),
        ("v/0.mp4,a", ",a", "line 2: the column 'path' is empty"),
        ("v/0.mp4,a", f"{'x' * 5000},a", r"line 2: 'xxx.*\.\.\.' is too long for a path \(5000 characters\)"),
        ("v/0.mp4,a", "v/0.mp4,nan", "line 2: label 'nan' is none: leave such lines out"),
        ("v/0", "v/\0", r"m.csv, line 2: a control character \('\\x00'\)"),
        (TABLE, "path,label\n", "m.csv has no lines below its first, which names the columns path, label"),
        (TABLE, "\n \n", "m.csv is empty"),
        (TABLE, TABLE.replace(",", ";"), "line 1: 'path;label;split' is one column: ; stands between, not commas"),
    ],
)  # fmt: skip
def test_a_fault_of_a_table_is_named_with_its_line(old: str, new: str, message: str, write: Write):
    assert old in TABLE
    root = write("m.csv", TABLE.replace(old, new, 1)).parent
    assert re.search(message, refusal(ManifestFile(file="m.csv"), root))


def test_several_faults_are_told_together_and_counted(write: Write):
    root = write("m.csv", TABLE.replace(",b,", ",")).parent
    lines = refusal(ManifestFile(file="m.csv"), root).splitlines()
    assert ["line 3" in lines[0], "line 6" in lines[1], lines[2]] == [True, True, "and 2 more lines with faults"]


def test_pandas_index_column_and_columns_of_no_interest_are_no_fault(write: Write):
    text = (
        TABLE.replace("path,label,split", ",path,label,split,,")
        .replace("\nv/", "\n0,v/")
        .replace(",train\n", ",train,,\n")
    )
    text = text.replace(",val\n", ",val,,\n").replace(",test\n", ",test,,\n")
    root = write("m.csv", text).parent
    assert listed(ManifestFile(file="m.csv"), root) == sorted(tuple(line.split(",")) for line in LINES)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused_and_the_command_that_is_named_mends_it(encoding: str, tmp_path: Path):
    (tmp_path / "my list.csv").write_bytes(TABLE.replace(",a,", ",marché,").encode(encoding))
    message = refusal(ManifestFile(file="my list.csv"), tmp_path)
    assert str(tmp_path / "my list.csv") in message
    if encoding == "latin-1":
        assert "my list.csv, line 2: not UTF-8 (byte 0xe9)" in message
    if shutil.which("iconv") is None:
        pytest.skip("the command that the message names is not checked: there is no iconv here")
    command = re.findall(r"iconv .* > NEW\.csv", message)[0]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert [label for _, label, _ in listed(ManifestFile(file="NEW.csv"), tmp_path)].count("marché") == 4


@pytest.mark.parametrize(
    ("start", "end"),
    [("0", "inf"), ("nan", "2"), ("-1", "2"), ("2", "1"), ("1", "1"), ("0", "1_0"), ('"0,5"', "2"), ("0:1", "")],
)  # fmt: skip
def test_times_that_are_none_are_refused(start: str, end: str, write: Write):
    root = write("m.csv", f"path,label,start_seconds,end_seconds\na.mp4,x,{start},{end}\nb.mp4,x,0.5,1e1\n").parent
    message = refusal(ManifestFile(file="m.csv"), root)
    assert f"{root}/m.csv, line 2: " in message
    assert re.search("is no number of seconds from 0, such as 12.5|it ends at .* s, and starts at .* s", message)


# ---- JSON -----------------------------------------------------------------------------------------------------------


def json_lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["a.mp4", "x"]\n', "m.jsonl is a JSON array: write an object in braces"),
        ('"a.mp4"\n', "line 1: no JSON object: '\"a.mp4\"' is not in braces"),
        ('{"path": "a.mp4", "label": "x", "label": "y"}\n', "line 1: no JSON object: 'label' is given twice"),
        ('{"path": "a.mp4", "label": NaN}\n', "line 1: no JSON object: NaN is no number"),
        ('{"path": "a.mp4", "label": 1e999}\n', "line 1: no JSON object: 1e999 is no number"),
        ('{"path": ["a.mp4"], "label": "x"}\n', r"line 1: path='\[\"a.mp4\"\]' is no text or number"),
        ('{"path": "a.mp4", "label": {"x": 1}}\n', "line 1: label=.* is no text or number"),
        ('{"path": "a\\u0000.mp4", "label": "x"}\n', "line 1: path=.* holds a character that no name has"),
        ('{"path": "a.mp4", "label": "\\ud800"}\n', "line 1: label=.* holds a character that no name has"),
        ("[" * 100_000, "m.jsonl is a JSON array"),
        ('{"a":' * 100_000, "line 1: no JSON object"),
        ("\n", "m.jsonl is empty"),
        (
            json_lines({"path": "a", "label": 1}, {"path": "b", "label": "1"}),
            "line 2: .* has 1 as a number and, in line 1",
        ),
        (json_lines({"path": "a", "label": True}, {"path": "b", "label": "true"}), "line 2: .* has true as"),
        (json_lines({"path": "a", "label": 0}, {"path": "b", "label": 0.0}), "label '0.0' is the same number as '0'"),
        (
            json_lines({"path": "a", "label": "x", "split": "train"}, {"path": "b", "label": "x"}),
            "m.jsonl, line 2: no 'split', which other lines have: give it to all, or to none",
        ),
    ],
)
def test_a_fault_of_json_lines_is_named_with_its_line(text: str, message: str, write: Write):
    root = write("m.jsonl", text).parent
    assert re.search(message, refusal(ManifestFile(file="m.jsonl"), root))


def test_the_command_for_a_json_array_makes_lines_of_it(write: Write):
    records = [dict(zip(("path", "label", "split"), line.split(","))) for line in LINES]
    root = write("m.json", json.dumps(records, indent=1)).parent
    command = re.findall(r"python3 -c .* > NEW\.jsonl", refusal(ManifestFile(file="m.json"), root))[0]
    subprocess.run(command, shell=True, cwd=root, check=True)
    assert listed(ManifestFile(file="NEW.jsonl"), root) == sorted(tuple(line.split(",")) for line in LINES)


# ---- what a table says ----------------------------------------------------------------------------------------------


def test_a_label_spelled_as_two_numbers_or_below_zero_makes_no_class(write: Write):
    root = write("m.csv", TABLE.replace(",a,", ",1,").replace(",b,", ",2,").replace(",c,", ",3,")).parent
    assert {label for _, label, _ in listed(ManifestFile(file="m.csv"), root)} == {"1", "2", "3"}
    for wrong, message in (
        ("1.0", "is the same number as"),
        ("01", "same number"),
        ("-1", "is no class among numb"),
    ):
        text = (root / "m.csv").read_text()
        write("w.csv", text.replace(",1,", f",{wrong},", 1))
        assert message in refusal(ManifestFile(file="w.csv"), root)


def test_what_where_leaves_of_no_line_is_told_with_what_there_is(write: Write):
    root = write("m.csv", TABLE).parent
    message = refusal(ManifestFile(file="m.csv", where={"label": ["A"]}), root)
    assert message == f"dataset.layout.where.label=['A']: {root}/m.csv has no such lines; it has a, b, c"


def test_paths_relative_to_the_table_itself_are_recognized(write: Write):
    root = write("lists/m.csv", TABLE).parent.parent
    for line in LINES:
        write(f"lists/{line.split(',')[0]}", "")
    layout = ManifestFile(file="lists/m.csv")
    wanted = sorted((f"lists/{path}", label, split) for path, label, split in (line.split(",") for line in LINES))
    told = remedied(layout, refusal(layout, root))
    assert listed(told, root) == wanted
    write("m.csv", TABLE.replace("v/", "lists/v/"))
    assert listed(ManifestFile(file="m.csv"), root) == wanted


@pytest.mark.parametrize("name", ["Split", "SPLIT", "split_"])
def test_a_column_called_nearly_as_one_that_is_read_is_asked_about(name: str, write: Write):
    root = write("m.csv", TABLE.replace("label,split", f"label,{name}")).parent
    message = refusal(ManifestFile(file="m.csv"), root)
    assert f"m.csv: the column '{name}' would not be read" in message
    wanted = sorted(tuple(line.split(",")) for line in LINES)
    assert listed(remedied(ManifestFile(file="m.csv"), message), root) == wanted
    write("m.csv", TABLE.replace("label,split", "label,Start seconds").replace(",train", ",1.5"))
    assert "'dataset.layout.start_column=Start seconds'" in refusal(ManifestFile(file="m.csv"), root)


def test_columns_that_are_not_read_are_told(write: Write):
    root = write("m.csv", TABLE.replace("path,label,split", "path,label,fold")).parent
    list_samples(ManifestFile(file="m.csv"), root, name="mini", notes=(heard := Notes()))
    assert ("ignored", "columns of the table that are not read: fold") in heard.lines
    list_samples(ManifestFile(file="m.csv", split_column="fold"), root, name="mini", notes=(heard := Notes()))
    assert heard.lines == []


def test_splits_are_named_as_folders_are_or_as_the_layout_says(write: Write):
    root = write(
        "m.csv", TABLE.replace("train", "Train").replace(",val", ",Validation").replace(",test", ",TEST")
    ).parent
    wanted = sorted(tuple(line.split(",")) for line in LINES)
    assert listed(ManifestFile(file="m.csv"), root) == wanted
    write("m.csv", TABLE.replace("v/0.mp4,a,train", "v/0.mp4,a,fold1"))
    layout = ManifestFile(file="m.csv")
    message = refusal(layout, root)
    assert "m.csv, line 2: split='fold1' belongs to no split" in message
    values = re.findall(r"dataset\.layout\.train_values=\[([\w,]+)\]", message)[0].split(",")
    assert listed(ManifestFile(file="m.csv", train_values=values), root) == wanted


def test_no_advice_leaves_out_all_files(write: Write, tmp_path: Path):
    root = write("m.csv", TABLE).parent
    with pytest.raises(BadRequest) as caught:
        prepare(ManifestFile(file="m.csv"), root=root, cache_dir=tmp_path / "cache", name="mini", processes=1)
    message = str(caught.value)
    assert "12 of 12 files cannot be read: " in message and "max_unreadable" not in message
    assert (
        f"without them there are no train and no val and no test samples (paths are relative to dataset.root={root})"
        in message
    )


# ---- lists with numbers ---------------------------------------------------------------------------------------------


def lists(**given: Any) -> VideoLists:
    return VideoLists(**{"val_list": None, "val_fraction": 0.25, **given})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("v/0", "path label\nv/0", "line 1: label 'label' is no other line's, and .*path does not exist: if this line"),
        ("v/4.mp4 1", "path label", "line 5: label 'label' is no number, but other labels are$"),
        ("v/4.mp4 1", "v/4.mp4 -1", "line 5: label '-1' is no class: they are 0, 1, 2, ...; leave out videos without"),
        ("v/4.mp4 1", "v/4.mp4 1.0", "line 5: label '1.0' is no class"),
        ("v/4.mp4 1", "v/4.mp4 run", "line 5: label 'run' is no number, but other labels are$"),
        ("v/4.mp4 1", "v/4.mp4 1000", "line 5: label 1000 makes 1001 classes, but 4 have a video"),
        ("v/4.mp4 1", f"v/4.mp4 {'1' * 5000}", "line 5: label '111.*' is too large"),
        ("v/4.mp4 1", "v/4.mp4 1 2", "line 5: '1 2' follows the path, not one label .* dataset=manifest"),
        ("v/4.mp4 1", "v/4.mp4,apply eye makeup", "line 5: 'apply eye makeup' follows the path"),
        ("v/4.mp4 1", "v/4.mp4", "line 5: 'v/4.mp4' is not a path and a label"),
        ("v/4.mp4 1", '"v/4.mp4" 1', "line 5: .* such lists have no quotation marks: remove them"),
        ("v/4.mp4 1", "v\\4.mp4 1", "line 5: .* paths are written with /"),
        (LIST, "", "train.csv is empty: it must name a sample on each line"),
    ],
)  # fmt: skip
def test_a_fault_of_a_list_is_named_with_its_line(old: str, new: str, message: str, write: Write):
    assert old in LIST
    root = write("train.csv", LIST.replace(old, new, 1)).parent
    assert re.search(message, refusal(lists(), root), re.MULTILINE)


def test_labels_that_count_from_one_are_told_and_both_remedies_work(write: Write):
    text = re.sub(r"\d$", lambda m: str(int(m[0]) + 1), LIST, flags=re.MULTILINE)
    root = write("train.csv", text).parent
    write("classes.txt", "walk\nsit\nrun\n")
    message = refusal(lists(), root)
    assert "train.csv: labels go from 1 to 3, none is 0" in message
    first, second = (lists(first_label=int(n)) for n in re.findall(r"dataset\.layout\.first_label=(\d)", message))
    assert list_samples(first, root, name="mini")[1] == ["1", "2", "3"]
    assert list_samples(second, root, name="mini")[1] == ["0", "1", "2", "3"]
    named = {row.path: "|".join(row.labels) for row in lists(first_label=1, class_file="classes.txt").rows(root)}
    assert [named[f"v/{i}.mp4"] for i in range(3)] == ["walk", "sit", "run"]
    write("train.csv", LIST)
    assert "label 0, but dataset.layout.first_label=1" in refusal(lists(first_label=1), root)


@pytest.mark.parametrize("top", ["path label", "video_path,class_name", "clip action"])
@pytest.mark.parametrize("kind", ["videos", "frames"])
def test_a_line_that_names_columns_makes_no_class(kind: str, top: str, write: Write):
    names = "".join(f"v/{i}.mp4 {['walk', 'sit'][i % 2]}\n" for i in range(12))
    layout = FrameFolders(train_list="train.csv") if kind == "frames" else lists()
    root = write("train.csv", f"{top if kind == 'videos' else top.replace(',', ' ')}\n{names}").parent
    assert re.search(r"train\.csv, line 1: label .* if this line names columns, remove it", refusal(layout, root))
    write("train.csv", names)
    assert list_samples(layout, root, name="mini")[1] == ["sit", "walk"]
    write("train.csv", f"gone.mp4 run\n{names}")  # a video that is missing is told as such, when it is read
    assert list_samples(layout, root, name="mini")[1] == ["run", "sit", "walk"]


def test_one_line_decides_nothing_for_the_labels_of_all(write: Write):
    names = "".join(f"v/{i}.mp4 {['walk', 'sit', '2'][i % 3]}\n" for i in range(12))
    root = write("train.csv", names).parent
    assert "line 3: label '2' is a number, but other labels are names" in refusal(lists(), root)
    write("train.csv", names.replace(" 2\n", " run\n"))
    assert list_samples(lists(), root, name="mini")[1] == ["run", "sit", "walk"]
    write("val.csv", "v/x.mp4 1\n")
    assert "val.csv, line 1: label '1' is a number" in refusal(lists(val_list="val.csv"), root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("walk\n\nsit\nrun\n", "line 2 is blank: the numbers of later classes would slip"),
        ("\nwalk\nsit\nrun\n", "line 1 is blank"),
        ("walk\nwalk\nrun\n", "line 2: 'walk' stands on line 1, too"),
        ("id,name\n0,walk\n1,sit\n2,run\n", "line 1: 'id,name' is class 0: write names alone"),
        ("1 walk\n2 sit\n3 run\n", "line 1: '1 walk' is class 0: write names alone"),
        ('{"walk": 0,\n"sit": 1,\n"run": 2}\n', "line 1: .* JSON, but it must hold one name"),
        ("walk\nsit\n", "line 3: label 2, but 2 classes are named, 0 to 1"),
        ("label\nwalk\nsit\nrun\n", "line 1: 'label' names a column, not a class: remove this line"),
        ("Class_Name\nwalk\nsit\nrun\n", "line 1: 'Class_Name' names a column"),
        ("", "is empty: it must hold the name of a class on each line"),
    ],
)
@pytest.mark.parametrize("kind", ["videos", "frames"])
def test_a_file_of_class_names_neither_slips_nor_merges(kind: str, text: str, message: str, write: Write):
    root = write("train.csv", LIST.replace(".mp4 ", ".mp4 7 ") if kind == "frames" else LIST).parent
    write("classes.txt", text)
    frames = FrameFolders(train_list="train.csv", class_file="classes.txt")
    layout = frames if kind == "frames" else lists(class_file="classes.txt")
    assert re.search(message, refusal(layout, root))
    write("classes.txt", "walk\r\nsit\r\nrun\r\n\r\n")  # blank lines at the end move nothing
    found = {path: label for path, label, _ in listed(layout, root)}
    assert [found[f"v/{i}.mp4"] for i in range(3)] == ["walk", "sit", "run"]


def test_names_of_classes_without_a_video_are_compared_with_the_others(write: Write):
    root = write("train.csv", LIST).parent
    write("classes.txt", "walk\nsit\nrun\nWalk\n")
    list_samples(lists(class_file="classes.txt"), root, name="mini", notes=(heard := Notes()))
    assert ("labels", "alike, but classes of their own: 'Walk', 'walk'") in heard.lines


def test_numbers_of_frames_are_in_all_lines_or_in_none(write: Write, tmp_path: Path):
    root = write("train.txt", "clip 1 0\nclip 2 1\nintro 0\nend 3 1\n").parent
    layout = FrameFolders(train_list="train.txt", val_fraction=0.5)
    assert "line 3: 'intro 0' is not a folder, the number of its frames and a label" in refusal(layout, root)
    for name in ("clip 1", "clip 2", "intro", "end 3"):
        (root / name).mkdir()
    assert [path for path, *_ in listed(layout, root)] == ["clip 1", "clip 2", "end 3", "intro"]
    write("train.txt", "a 5 0\nb 6 10\n")
    assert list_samples(FrameFolders(train_list="train.txt"), root, name="mini")[1] == list(map(str, range(11)))


# ---- official lists -------------------------------------------------------------------------------------------------

UCF_TRAIN = "".join(f"{c}/v_{c}_g{g:02d}_c01.avi {n}\n" for n, c in ((1, "YoYo"), (2, "Archery")) for g in range(8, 12))
SSV2 = [{"id": str(i), "template": "Holding [something]"} for i in range(4)]
KINETICS = "label,youtube_id,time_start,time_end,split\n" + "".join(
    f"a,{i:011d},{i},{i + 10},train\n" for i in range(4)
)
OFFICIAL: dict[str, tuple[Layout, dict[str, str]]] = {
    "ucf101": (
        UCF101(),
        {
            "ucfTrainTestlist/trainlist01.txt": UCF_TRAIN,
            "ucfTrainTestlist/testlist01.txt": "YoYo/v_YoYo_g01_c01.avi\n",
            "ucfTrainTestlist/classInd.txt": "1 YoYo\n2 Archery\n",
        },
    ),
    "hmdb51": (
        HMDB51(),
        {
            f"testTrainMulti_7030_splits/{c}_test_split1.txt": "".join(f"{i}_{c}_.avi {1 + i // 5}\n" for i in range(7))
            for c in ("wave", "run")
        },
    ),
    "kinetics": (
        Kinetics(),
        {
            "annotations/train.csv": KINETICS,
            "annotations/val.csv": KINETICS.replace("a,000", "a,x00").replace("train", "val"),
        },
    ),
    "ssv2": (
        SomethingSomethingV2(test="test"),
        {
            "labels/train.json": json.dumps(SSV2),
            "labels/validation.json": json.dumps([entry | {"id": "9" + str(entry["id"])} for entry in SSV2]),
            "labels/labels.json": '{"Holding something": "0"}',
            "labels/test-answers.csv": "77;Holding something\n",
        },
    ),
    "vimeo90k": (
        Vimeo90k(val_fraction=0.3),
        {
            "sep_trainlist.txt": "".join(f"{i:05d}/0001\n" for i in range(9)),
            "sep_testlist.txt": "00010/0001\n",
        },
    ),
    "lists of footage": (
        VideoFolder(train_list="train.txt", val_list="val.txt"),
        {"train.txt": "a.mp4\nb.mp4\n", "val.txt": "c.mp4\n"},
    ),
    "lists of videos": (
        VideoLists(class_file="classes.txt"),
        {"train.csv": LIST, "val.csv": "v/x.mp4 1\n", "classes.txt": "walk\nsit\nrun\n"},
    ),
    "lists of frames": (
        FrameFolders(train_list="train.txt", val_list="val.txt"),
        {"train.txt": "a 5 0\nb 6 1\nc 7 1\n", "val.txt": "d 8 1\n"},
    ),
    "table": (ManifestFile(file="m.csv"), {"m.csv": TABLE}),
    "tabs": (ManifestFile(file="m.tsv"), {"m.tsv": TABLE.replace(",", "\t")}),
    "json": (
        ManifestFile(file="m.jsonl"),
        {"m.jsonl": json_lines(*(dict(zip(("path", "label", "split"), line.split(","))) for line in LINES))},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("which", "file", "change", "message"),
    [
        ("ucf101", "classInd", ("1 YoYo\n2 Archery\n", "YoYo\nArchery\n"), "classInd.txt, line 1: 'YoYo' is not like"),
        ("ucf101", "classInd", ("2", "3"), "classInd.txt: 2 classes, but none has the number 2: number them from 1"),
        ("ucf101", "classInd", ("Archery", "YoYo"), "classInd.txt: 'YoYo' is there twice, with two numbers"),
        ("ucf101", "trainlist", ("g08_c01.avi 1", "g08_c01.avi 2"), "line 1: .*: YoYo is number 1 in classInd.txt"),
        ("ucf101", "trainlist", ("g08_c01.avi 1", "g08 c01.avi 1"), "trainlist01.txt, line 1: "),
        ("hmdb51", "wave", (".avi 1", ".avi"), "wave_test_split1.txt, line 1: .* is not a file name with 0, 1 or 2"),
        ("kinetics", "train.csv", (",0,10,", ",,10,"), "train.csv, line 2: no 'time_start'"),
        ("kinetics", "train.csv", (",0,10,", ",0,inf,"), "train.csv, line 2: time_end='inf' is no number of seconds"),
        ("kinetics", "train.csv", ("youtube_id", "id"), "train.csv, line 2: no 'youtube_id' among label, id"),
        ("kinetics", "train.csv", ("a,", '"a,'), "train.csv, line 2: a quotation mark without its pair"),
        ("ssv2", "train.json", ('"}]', ""), "labels/train.json: no JSON object"),
        ("ssv2", "train.json", ('"template"', '"x"'), "train.json, entry 1: no 'template' among id, x"),
        ("ssv2", "train.json", (json.dumps(SSV2), "{}"), "train.json: not an array in brackets"),
        ("ssv2", "train.json", (json.dumps(SSV2[0]), "7"), "train.json, entry 1: '7' is no object in braces"),
        ("ssv2", "labels.json", ('"0"', '"1"'), "labels.json: 1 classes, but none has the number 0"),
        ("ssv2", "test-answers", (";", ","), "test-answers.csv, line 1: .* is not like '10;Holding something'"),
        ("vimeo90k", "sep_train", ("00003/0001", "00003\\0001"), "trainlist.txt, line 4: .* paths are written with /"),
        ("lists of footage", "val", ("c.mp4\n", "\n"), "val.txt is empty"),
    ],
)  # fmt: skip
def test_a_fault_of_an_official_list_is_named(
    which: str, file: str, change: tuple[str, str], message: str, write: Write
):
    layout, files = OFFICIAL[which]
    old, new = change
    for name, text in files.items():
        root = write(name, text.replace(old, new, 1) if file in name else text).parents[name.count("/")]
        assert file not in name or old in text
    assert re.search(message, refusal(layout, root))


TOKENS = [b'"', b"\n", b"\r", b",", b"\t", b" ", b";", b"\0", b"\xff", b"\xe9", b"-1", b"nan", b"[", b"}", b"\\",
          b"\xef\xbb\xbf", b"9" * 30, b"0", b"\x1f", "\u2028".encode(), b"\xed\xa0\x80", b"#", b"x" * 300]  # fmt: skip


def mutate(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 2)):
        start, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        end = min(end, start + dice.choice([0, 1, 5, 40]))
        data = data[:start] + dice.choice([b"", *TOKENS, data[start:end] * 2]) + data[end:]
    return data


@pytest.mark.parametrize("which", OFFICIAL)
def test_whatever_a_list_holds_there_are_samples_or_a_refusal_that_names_it(which: str, tmp_path: Path):
    layout, files = OFFICIAL[which]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    samples = listed(layout, tmp_path)
    outcomes = {"read": 0, "refused": 0}
    dice = random.Random(7)
    for _ in range(60):
        name = dice.choice(sorted(files))
        (tmp_path / name).write_bytes(mutate(files[name].encode(), dice))
        try:
            rows, classes = list_samples(layout, tmp_path, name="mini")
        except BadRequest as error:
            said = str(error)
        else:
            said = ""
            assert rows and {"|".join(row.labels) for row in rows} - {""} <= set(classes)
        outcomes["refused" if said else "read"] += 1
        assert not said or any(Path(name).name in said for name in files) or "*_test_split1.txt" in said, said
        assert len(said.splitlines()) <= 3 and len(said) < 2000, said
        (tmp_path / name).write_text(files[name])
    assert outcomes["refused"] > 10, outcomes
    assert listed(layout, tmp_path) == samples
