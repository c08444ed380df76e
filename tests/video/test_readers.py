import multiprocessing
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tests.video.torture_set import source_frames, stamped_number
from videxp.core.errors import BadRequest
from videxp.video import DecodeError, DecoderRefused, UnreadableVideo, open_video, probe, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("readers") / "clip.mp4"
    write_video(path, source_frames(30, (48, 64)), fps=10, keyframe_interval=8)
    return path


@pytest.fixture(params=["auto", "decord", "pyav", "folder"])
def reader(request, video, tmp_path):
    if request.param == "folder":
        save_frames(tmp_path, source_frames(30, (48, 64)))
        opened = open_video(tmp_path, template="img_{:05d}.png", fps=10)
    else:
        opened = open_video(video, decoder=request.param)
    with opened:
        yield opened


def save_frames(folder, frames, template="img_{:05d}.png", first=1):
    for number, picture in enumerate(frames, first):
        Image.fromarray(picture).save(folder / template.format(number))


def stamps(clip):
    return [stamped_number(picture) for picture in clip.numpy()]


def test_every_reader_tells_length_rate_and_size(reader):
    assert (reader.num_frames, reader.fps, reader.size) == (30, 10.0, (48, 64))


def test_indices_may_come_in_any_order_and_repeat(reader):
    clip = reader.frames([29, 0, 7, 7, 8, 3])
    assert clip.dtype == torch.uint8 and clip.shape == (6, 48, 64, 3)
    assert stamps(clip) == [29, 0, 7, 7, 8, 3]
    assert stamps(reader.frames(np.array([1, 2], np.int32))) == [1, 2]
    assert stamps(reader.frames(range(28, 30))) == [28, 29]
    assert reader.frames([]).shape == (0, 48, 64, 3)


@pytest.mark.parametrize(("indices", "named"), [([0, 30], "frame 30"), ([-1], "frame -1")])
def test_an_index_outside_the_video_is_an_error(reader, indices, named):
    with pytest.raises(IndexError, match=rf"{named} is outside \[0, 30\)"):
        reader.frames(indices)


@pytest.mark.parametrize("indices", [[0.5], [[0, 1]], [True]])
def test_indices_that_are_no_whole_numbers_are_an_error(reader, indices):
    with pytest.raises(TypeError, match="whole numbers"):
        reader.frames(indices)


def test_a_reader_cannot_be_sent_to_another_process(reader):
    with pytest.raises(TypeError, match="open it there"):
        pickle.dumps(reader)


def test_a_reader_used_in_a_forked_child_raises_instead_of_hanging(reader):
    context = multiprocessing.get_context("fork")
    told, tell = context.Pipe(duplex=False)

    def child():
        try:
            reader.frames([0])
            tell.send("read")
        except DecodeError as error:
            tell.send(str(error))

    process = context.Process(target=child)
    process.start()
    assert told.poll(60)
    assert "another process" in told.recv()
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_a_closed_reader_says_so(video, decoder):
    reader = open_video(video, decoder=decoder)
    reader.close()
    reader.close()
    with pytest.raises(DecodeError, match="closed"):
        reader.frames([0])


class Stamps(Dataset):
    def __init__(self, path):
        self.path, self.probe = path, probe(path)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        decoder = ("auto", "pyav")[index % 2]
        with open_video(self.path, decoder=decoder, probe=self.probe) as reader:
            return stamped_number(reader.frames([7 * index])[0].numpy())


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_readers_opened_in_workers_work(video, start):
    open_video(video, decoder="decord").frames([0])  # the parent has used both decoders before
    open_video(video, decoder="pyav").frames([0])
    loader = DataLoader(Stamps(video), num_workers=2, multiprocessing_context=start, batch_size=1, timeout=120)
    assert [int(batch) for batch in loader] == [0, 7, 14, 21]


def test_auto_takes_the_packets_of_the_probe_then_decord_then_what_proves_each_frame(video):
    found = probe(video)
    bare = replace(found, packets=b"")
    for given, kind in (
        (found, "PacketReader"),
        (bare, "DecordReader"),
        (replace(bare, decord_safe=False), "PyavReader"),
        (None, "PyavReader"),
    ):
        with open_video(video, probe=given) as reader:
            assert type(reader).__name__ == kind


def test_decord_by_name_refuses_in_one_line_with_the_remedy_and_can_be_overruled(torture):
    path, _, _ = torture("h264_open_gop.mp4")
    with pytest.raises(DecoderRefused) as caught:
        open_video(path, decoder="decord")
    assert str(caught.value) == (
        f"{path}: decord is not safe here (open GOP or intra refresh: a key frame that is no IDR): "
        "use dataset.decoding.decoder=auto"
    )
    with open_video(path, decoder="decord", allow_unsafe=True) as reader:
        assert reader.num_frames == 60


def test_a_probe_of_another_file_is_noticed(video):
    for decoder in ("decord", "pyav"):
        with pytest.raises((DecoderRefused, UnreadableVideo), match="30"):
            open_video(video, decoder=decoder, probe=replace(probe(video), num_frames=31))


def test_an_unknown_decoder_is_named(video):
    with pytest.raises(BadRequest, match="unknown decoder 'opencv'"):
        open_video(video, decoder="opencv")


@pytest.mark.parametrize("module", ["torchcodec", "decord"])
def test_a_missing_decoder_is_one_line_with_the_remedy(video, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.decoders", None)
    with pytest.raises(
        BadRequest, match=r"pip install 'videxp\[torchcodec\]'|use dataset\.decoding\.decoder=auto"
    ) as caught:
        open_video(video, decoder=module)
    assert len(str(caught.value).splitlines()) == 1
    with open_video(video, probe=probe(video)) as reader:
        assert stamps(reader.frames([3])) == [3]


def test_torchcodec_without_ffmpegs_libraries_is_told_in_one_line(video, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("Could not load libtorchcodec. Likely causes:" + 100 * "\n stack")

    monkeypatch.setattr("videxp.video.torchcodec_reader.import_torchcodec", lambda: fails)
    with pytest.raises(BadRequest, match="finds none of FFmpeg's shared libraries") as caught:
        open_video(video, decoder="torchcodec")
    assert len(str(caught.value).splitlines()) == 1


def test_errors_survive_the_way_from_a_worker():
    for error in (
        DecodeError("a.mp4", range(20), "cause"),
        UnreadableVideo("a.mp4", "cause"),
        DecoderRefused("a", "b", "c"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error) and vars(again) == vars(error)
    assert str(DecodeError("a.mp4", range(20), "one\ntwo")) == (
        "a.mp4: cannot decode frames [0, 1, 2, 3, 4, 5, 6, 7, ... 20 in all]\none two"
    )


def test_a_frame_folder_says_what_is_missing_or_odd(tmp_path):
    frames = source_frames(4, (48, 64))
    with pytest.raises(UnreadableVideo, match=r"no frames named as img_\{:05d\}\.png"):
        open_video(tmp_path, template="img_{:05d}.png", fps=10)
    save_frames(tmp_path, frames, first=3)
    assert open_video(tmp_path, template="img_{:05d}.png", fps=10).num_frames == 4
    Image.fromarray(frames[0][:20]).save(tmp_path / "img_00005.png")
    with pytest.raises(DecodeError, match=r"img_00005\.png has size \(20, 64\)"):
        open_video(tmp_path, template="img_{:05d}.png", fps=10).frames([0, 2])
    (tmp_path / "img_00005.png").write_bytes(b"not a picture")
    with pytest.raises(DecodeError, match=r"img_00005\.png"):
        open_video(tmp_path, template="img_{:05d}.png", fps=10).frames([2])
    (tmp_path / "img_00005.png").unlink()
    with pytest.raises(UnreadableVideo, match=r"img_00005\.png is missing"):
        open_video(tmp_path, template="img_{:05d}.png", fps=10)
    for template, fps in [("img.png", 10), ("a{}b{}.png", 10), (None, 10), ("img_{:05d}.png", None)]:
        with pytest.raises(BadRequest):
            open_video(tmp_path, template=template, fps=fps)


def test_the_package_and_the_probe_do_without_torch():
    program = """
import sys
from videxp.video import DecodeError, Probe, UnreadableVideo, probe, random_clip, write_video
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
