import os
import random
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.films import Put
from tests.video.joined import piece, with_still
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, Manifest, ManifestFile, manifest_path, prepare
from videxp.data.layouts.base import Layout
from videxp.data.preparing import preparation
from videxp.data.preparing.rewritten import rewritten_files
from videxp.runs.differences import content_differences


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for path in ("train/run/a.mp4", "train/walk/b.mp4", "val/run/c.mp4"):
        put(path)
    return tmp_path / "root"


def prepared(root: Path, *, max_unreadable: int = 0, processes: int = 1) -> Manifest:
    layout, cache = FolderPerClass(), root.parent / "cache"
    return prepare(layout, root=root, cache_dir=cache, name="mini", max_unreadable=max_unreadable, processes=processes)


def test_every_file_is_read_and_its_facts_are_kept(root: Path) -> None:
    row = prepared(root).row(0)
    assert {k: row[k] for k in ("path", "num_frames", "fps", "width", "height", "codec", "decoder", "error")} == {
        "path": "train/run/a.mp4", "num_frames": 12, "fps": 10.0, "width": 32, "height": 24,
        "codec": "h264", "decoder": "packets", "error": "",
    }  # fmt: skip
    assert len(row["content_hash"]) == 32


def test_a_cache_folder_that_takes_no_files_is_named_with_the_remedy(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match=f"{tmp_path}/file/cache takes no files: .* directory\nVIDEXP_CACHE=FOLDER"):
        prepare(FolderPerClass(), root=root, cache_dir=tmp_path / "file/cache", name="mini")


def test_several_processes_find_the_same(root: Path) -> None:
    assert prepared(root, processes=2).fingerprint == prepared(root, processes=1).fingerprint


def test_the_second_time_only_what_changed_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_file = preparation.read_file
    monkeypatch.setattr(preparation, "read_file", lambda path, **rest: opened.append(path) or read_file(path, **rest))
    first = prepared(root)
    assert len(opened) == 3
    opened.clear()
    assert prepared(root).fingerprint == first.fingerprint
    assert opened == []
    os.utime(root / "train/run/a.mp4", ns=(1, 1))
    assert prepared(root).fingerprint == first.fingerprint  # read again, found the same
    assert opened == ["train/run/a.mp4"]


def test_a_file_written_over_at_the_same_size_and_time_is_found_by_its_content_alone(root: Path) -> None:
    manifest, file = prepared(root), root / "train/walk/b.mp4"
    times, content = file.stat(), file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert prepared(root).fingerprint == manifest.fingerprint  # preparing takes it for the same
    assert rewritten_files(manifest, FolderPerClass()) == ["train/walk/b.mp4"]
    (difference,) = content_differences(["train/walk/b.mp4"])
    assert str(difference).endswith(
        "content: train/walk/b.mp4: other bytes, of the same size and time; videxp prepare --thorough sees it"
    )
    thorough = prepare(FolderPerClass(), root=root, cache_dir=root.parent / "cache", name="mini", thorough=True)
    assert thorough.fingerprint != manifest.fingerprint
    file.write_bytes(content)
    assert rewritten_files(manifest, FolderPerClass()) == [] and content_differences([]) == []


def test_another_column_name_or_place_of_the_data_opens_no_file_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read_file = preparation.read_file
    monkeypatch.setattr(preparation, "read_file", lambda path, **rest: opened.append(path) or read_file(path, **rest))

    def prepare_again(root: Path, layout: Layout, name: str) -> Manifest:
        opened.clear()
        return prepare(layout, root=root, cache_dir=root.parent / "cache", name=name, processes=1)

    lines = "train/run/a.mp4,run,x,train\ntrain/walk/b.mp4,walk,x,train\nval/run/c.mp4,run,x,val\n"
    (root / "list.csv").write_text("path,label,action,split\n" + lines)
    by_folder = prepare_again(root, FolderPerClass(), "mini")
    assert sorted(opened) == ["train/run/a.mp4", "train/walk/b.mp4", "val/run/c.mp4"]
    by_label = prepare_again(root, ManifestFile(file="list.csv"), "mini")
    assert opened == [] and by_label["content_hash"][0] == by_folder["content_hash"][0]
    renamed = prepare_again(root, ManifestFile(file="list.csv", label_column="action"), "other")
    assert opened == [] and set(renamed["label"]) == {"x"}
    before = by_folder.packets_file
    assert before is not None and renamed.packets_file is not None and before != renamed.packets_file  # its own
    assert renamed.packets_file.read_bytes() == by_label.packets_file.read_bytes()
    moved = root.rename(root.parent / "moved")
    assert prepare_again(moved, FolderPerClass(), "mini").fingerprint == by_folder.fingerprint
    assert opened == []
    os.utime(moved / "val/run/c.mp4", ns=(1, 1))
    prepare_again(moved, FolderPerClass(val_fraction=0.2), "mini")
    assert opened == ["val/run/c.mp4"]


def test_unreadable_files_are_named_with_their_cause(root: Path, put: Put) -> None:
    put("train/run/bad1.mp4", of="broken.mp4")
    put("train/run/bad2.mp4", of="broken.mp4").write_text("no video")
    put("train/run/bad3.mp4").write_bytes(b"")
    with pytest.raises(BadRequest) as caught:
        prepared(root, max_unreadable=2)
    message = str(caught.value)
    assert "3 of 6 files cannot be read: train/run/bad1.mp4: " in message
    assert "dataset.max_unreadable=3" in message
    assert len(message.splitlines()) <= 3
    manifest = prepared(root, max_unreadable=3)
    assert manifest.counts["train"] == 2
    assert set(manifest.unreadable) == {f"train/run/bad{i}.mp4" for i in (1, 2, 3)}
    assert all(manifest.unreadable.values())


def test_a_part_without_frames_is_unreadable(root: Path) -> None:
    (root / "list.csv").write_text(
        "path,label,split,start_seconds,end_seconds\n"
        "train/run/a.mp4,x,train,0,0.5\ntrain/run/a.mp4,x,train,5,6\ntrain/walk/b.mp4,x,val,,\n"
    )
    with pytest.raises(BadRequest, match=r"1 of 2 files .*train/run/a.mp4: no frame starts between 5.0 s and 6.0 s"):
        prepare(ManifestFile(file="list.csv"), root=root, cache_dir=root.parent, name="mini", processes=1)
    (root / "list.csv").write_text((root / "list.csv").read_text().replace("5,6", "5,"))
    with pytest.raises(BadRequest, match=r"a.mp4: no frame starts from 5.0 s on: "):
        prepare(ManifestFile(file="list.csv"), root=root, cache_dir=root.parent, name="mini", processes=1)


def test_a_part_that_goes_on_after_its_video_is_told(root: Path) -> None:
    text = "path,label,split,start_seconds,end_seconds\ntrain/run/a.mp4,x,train,0.1,{}\ntrain/walk/b.mp4,x,val,,\n"
    for end, told in ((1.2, 0), (50, 1)):
        (root / "list.csv").write_text(text.format(end))
        manifest = prepare(ManifestFile(file="list.csv"), root=root, cache_dir=root.parent, name="mini", processes=1)
        seconds = float(manifest["duration_seconds"][0])
        assert end - seconds > 1 if told else end - seconds < 1
        notes = [text for about, text in manifest.notes if about == "times"]
        assert len(notes) == told and all(f"to 50 s of {seconds:.1f} s: times are in seconds" in text for text in notes)


def test_another_root_layout_or_name_is_another_manifest(root: Path) -> None:
    def path(layout: FolderPerClass, root: Path, name: str) -> Path:
        return manifest_path(layout, root=root, cache_dir=Path("/cache"), name=name)

    layout = FolderPerClass()
    paths = {
        path(layout, root, "x"),
        path(layout, root, "y"),
        path(layout, root / "train", "x"),
        path(FolderPerClass(val_fraction=0.5), root, "x"),
    }
    assert len(paths) == 4
    assert path(FolderPerClass(), Path(os.path.relpath(root)), "x") in paths


def test_the_data_folder_is_left_as_it_is(root: Path) -> None:
    before = sorted(root.rglob("*"))
    prepared(root)
    assert sorted(root.rglob("*")) == before


def test_one_process_prepares_while_another_waits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read_file = preparation.read_file
    monkeypatch.setattr(preparation, "read_file", lambda path, **rest: opened.append(path) or read_file(path, **rest))
    threads = [threading.Thread(target=prepared, args=(root,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 3  # not 9


def test_what_is_odd_about_files_is_told_each_time(root: Path, films: dict[str, Path]) -> None:
    still = piece(root.parent / "still.mkv", "-c:v mjpeg -pix_fmt yuvj420p", frames=1)
    with_still(root / "train/run/0.mkv", still, films["bar.mp4"])
    for number in range(1, 7):
        shutil.copy(root / "train/run/0.mkv", root / f"train/run/{number}.mkv")
    for _ in range(2):
        odd = [text for about, text in prepared(root).notes if about == "odd"]
        why = "because those before it are one picture each"
        assert odd[0] == f"train/run/0.mkv: 2 video streams: stream 1 is read, {why}"
        assert len(odd) == 6 and odd[-1] == "2 files more: see `note` in the manifest"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[: 2 * len(content) // 3],
    "zeros": lambda content: bytes(len(content)),
    "a digit": lambda content: re.sub(rb"[0-4]", b"5", content, count=1),
    "a bit of the end": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "rubbish": lambda content: random.Random(0).randbytes(len(content)),
    "more": lambda content: content + b"1\t\n",
    "other types": lambda content: content.replace(b"{", b"[{", 1).replace(b"}", b"}]", 1),
}


@pytest.mark.slow
def test_damaged_manifests_and_tables_are_made_again_and_never_used(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = prepared(root)
    files = [path for path in (root.parent / "cache/manifests").iterdir() if path.suffix in (".tsv", ".packets")]
    whole = {file: file.read_bytes() for file in files}
    assert sorted(file.suffix for file in files) == [".packets", ".tsv"]
    for file in files:
        for name, damage in DAMAGES.items():
            file.write_bytes(damage(whole[file]))
            capfd.readouterr()
            again = prepared(root)
            assert again.fingerprint == first.fingerprint, name
            assert {path: path.read_bytes() for path in files} == whole, (file.name, name)
            assert f"{file} is damaged, or of another version: every file is read again" in capfd.readouterr().err
    capfd.readouterr()
    prepared(root)
    assert "damaged" not in capfd.readouterr().err
