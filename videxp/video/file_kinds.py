"""Which files are videos: by their endings, and by their first bytes where the ending says nothing.

The one look-up of the project: data sets, `videxp predict` and lists of inputs go by it.
"""

import os
import stat
from os import PathLike
from pathlib import PurePath

VIDEO_ENDINGS = frozenset("""
    .mp4 .m4v .mp4v .mov .qt .mkv .webm .avi .divx .wmv .asf .flv .f4v .f4p .mpg .mpeg .mpe .mpv .m1v .m2v .m2p .mp2v
    .ts .mts .m2ts .m2t .tp .trp .vob .mod .tod .ogv .ogm .3gp .3gpp .3g2 .mxf .rm .rmvb .y4m .dv .dif .gif .mjpg .mjpeg
    .h261 .h263 .264 .h264 .avc .265 .h265 .hevc .ivf .obu .nut .wtv .amv .nsv .bik .bk2 .smk .gxf .lrv .insv
    """.split())  # noqa: SIM905  # a list of literals would take 80 lines  # fmt: skip
IMAGE_ENDINGS = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"])
# Never opened to look: what lies beside videos by the thousand, and downloads that were not finished.
OTHER_ENDINGS = IMAGE_ENDINGS | frozenset("""
    .txt .csv .tsv .json .jsonl .yaml .yml .xml .html .htm .md .rst .pdf .doc .docx .xls .xlsx .ini .cfg .toml .log
    .py .ipynb .sh .bat .m .mat .npy .npz .pkl .pt .pth .ckpt .h5 .hdf5 .parquet .arrow .tfrecord .db .sqlite
    .wav .mp3 .flac .aac .m4a .m4b .oga .opus .wma .mka .ac3 .aif .aiff .mid .srt .vtt .ass .ssa .sub .idx .lrf .thm
    .zip .tar .gz .tgz .bz2 .xz .7z .rar .zst .heic .heif .avif .svg .psd .exr .hdr .dng .cr2 .nef .arw .ico .url
    .lnk .info .nfo .md5 .sha1 .sha256 .par2 .torrent .part .crdownload .download .partial .tmp .temp .aria2 .ytdl
    .bak .old .orig .swp
    """.split())  # noqa: SIM905  # a list of literals would take 80 lines  # fmt: skip

HEAD_BYTES = 4096
TS_PACKETS = ((0, 188), (4, 192))  # first sync byte, bytes from one to the next: broadcast, and Blu-ray or camera
ISO_BOXES = frozenset([b"ftyp", b"moov", b"mdat", b"wide", b"styp"])
NO_FILM_BRANDS = frozenset([b"M4A ", b"M4B ", b"M4P ", b"heic", b"heix", b"mif1", b"msf1", b"avif", b"crx "])
SIGNATURES = (
    b"FLV\x01",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and -2 video
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b".RMF",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
    b"YUV4MPEG2",
    b"GIF87a",
    b"GIF89a",
    b"DKIF",
    b"\x00\x00\x00\x01\x67",  # H.264
    b"\x00\x00\x00\x01\x27",
    b"\x00\x00\x00\x01\x40\x01",  # HEVC
)


def ending_of(path: str | PathLike[str]) -> str:
    """`.mp4`, in small letters; "" for none."""
    return PurePath(path).suffix.lower()


def is_video(path: str | PathLike[str]) -> bool:
    """A file that cannot be opened is a video if its ending says so."""
    ending = ending_of(path)
    return ending in VIDEO_ENDINGS or (ending not in OTHER_ENDINGS and begins_like_a_video(path))


def is_image(path: str | PathLike[str]) -> bool:
    """By its name alone; hidden files are none."""
    return ending_of(path) in IMAGE_ENDINGS and not PurePath(path).name.startswith(".")


def begins_like_a_video(path: str | PathLike[str]) -> bool:
    """Whether the first bytes are those of a container or stream of video; False for what is no plain file."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            return False
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return (
        head.startswith(SIGNATURES)
        or _is_iso(head, size_bytes=status.st_size)
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:4] == b"\x1a\x45\xdf\xa3" and (b"webm" in head[:64] or b"matroska" in head[:64]))
        or (head[:4] == b"OggS" and any(codec in head for codec in (b"theora", b"OVP80", b"BBCD")))
        or any(_is_transport_stream(head, *packets) for packets in TS_PACKETS)
    )


def _is_iso(head: bytes, *, size_bytes: int) -> bool:
    """MP4, MOV and their like; text that happens to hold a box's name would have a box of gigabytes."""
    box_bytes = int.from_bytes(head[:4], "big")
    return (
        head[4:8] in ISO_BOXES and head[8:12] not in NO_FILM_BRANDS and (box_bytes == 1 or 8 <= box_bytes <= size_bytes)
    )


def _is_transport_stream(head: bytes, first: int, step: int) -> bool:
    syncs = head[first : first + 5 * step : step]
    return len(syncs) >= 3 and set(syncs) == {0x47} and min(head) < 9  # text has no such bytes
