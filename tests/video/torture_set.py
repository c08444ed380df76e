"""Small video files of many kinds, made with the ffmpeg program of imageio-ffmpeg, each frame stamped with its number.

Shapes: T frames, H, W pixels, C = 3.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

HEIGHT, WIDTH = 96, 128
BITS = 8
X264 = "-c:v libx264 -preset veryfast -crf 20 -threads 1 -pix_fmt yuv420p"
CLOSED = f"{X264} -x264-params keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0"
OPEN = f"{X264} -x264-params keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:open-gop=1"
X265 = "-c:v libx265 -preset ultrafast -crf 20 -pix_fmt yuv420p -x265-params log-level=none:pools=none:frame-threads=1"


@dataclass(frozen=True)
class Kind:
    """`encode`: ffmpeg's arguments after the input; `recut`: a second ffmpeg run over the first file's output."""

    name: str
    suffix: str
    encode: str
    num_frames: int = 60
    fps: str = "25"
    size: tuple[int, int] = (HEIGHT, WIDTH)
    turn_degrees: int = 0  # clockwise, when shown
    mirrored: bool = False
    recut: tuple[str, str] = ("", "")  # arguments before and after its input
    first_suffix: str = ""  # of the file before the second run
    second_input: str = ""
    damage: Callable[[bytes], bytes] | None = None

    whole: bool = True  # ffmpeg decodes it without complaint, and so must we

    def __str__(self) -> str:
        return f"{self.name}.{self.suffix}"

    @property
    def shown_size(self) -> tuple[int, int]:
        return self.size if self.turn_degrees % 180 == 0 else (self.size[1], self.size[0])


def cut_to(part: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * part)]


def scratch(part: float) -> Callable[[bytes], bytes]:
    """Overwrites 200 bytes in the middle of the coded pictures."""

    def damage(data: bytes) -> bytes:
        at = int(len(data) * part)
        return data[:at] + bytes((37 * i + 11) % 256 for i in range(200)) + data[at + 200 :]

    return damage


AUDIO = "-f lavfi -i sine=frequency=440:duration=2.4:sample_rate=16000"
OTHER = "-f lavfi -i testsrc=size=256x192:rate=25:duration=2.4"

KINDS = [
    Kind("h264_closed", "mp4", CLOSED),
    Kind("h264_closed", "mov", CLOSED),
    Kind("h264_closed", "mkv", CLOSED),
    Kind("h264_closed", "flv", CLOSED),
    Kind("h264_closed", "ts", CLOSED),
    Kind("h264_closed", "avi", CLOSED),
    Kind("h264_closed", "h264", CLOSED),
    Kind("h264_open_gop", "mp4", OPEN),
    Kind("h264_open_gop", "mkv", OPEN),
    Kind("h264_open_gop_cut", "mkv", OPEN, recut=("-ss 1", "-c copy"), first_suffix="mkv"),
    Kind("h264_intra_refresh", "mp4", f"{X264} -x264-params keyint=12:scenecut=0:intra-refresh=1:bframes=0"),
    Kind("h264_10_bit", "mp4", CLOSED.replace("yuv420p", "yuv420p10le")),
    Kind("h264_444", "mp4", CLOSED.replace("yuv420p", "yuv444p")),
    Kind("h264_odd_size", "mp4", CLOSED.replace("yuv420p", "yuv444p"), size=(93, 125)),
    Kind("h264_fragmented", "mp4", f"{CLOSED} -movflags frag_keyframe+empty_moov+default_base_moof"),
    Kind("h264_vfr", "mkv", f"-vf select='mod(n\\,3)' -fps_mode passthrough {CLOSED}"),
    Kind("h264_vfr", "mp4", f"-vf select='mod(n\\,3)' -fps_mode passthrough {CLOSED}"),
    Kind("h264_edit_list_start", "mp4", CLOSED, recut=("-ss 0.7", "-c copy"), first_suffix="mp4"),
    Kind("h264_edit_list_end", "mp4", CLOSED, recut=("-t 1.5", "-c copy"), first_suffix="mp4"),
    Kind("h264_late_start", "mp4", CLOSED, recut=("-itsoffset 1", "-c copy"), first_suffix="mp4"),
    Kind("h264_gop_250", "mp4", f"{X264} -g 250 -bf 2", num_frames=120),
    Kind("h264_gop_1", "mp4", f"{X264} -g 1"),
    Kind("h264_2997_fps", "mp4", CLOSED, fps="30000/1001"),
    Kind("h264_1_frame", "mp4", CLOSED, num_frames=1),
    Kind("h264_interlaced", "mp4", f"{CLOSED}:tff=1"),
    Kind("h264_bt709", "mp4", f"-vf scale=out_color_matrix=bt709 {CLOSED} -colorspace bt709 -color_range tv"),
    Kind("h264_full_range", "mp4", f"-vf scale=out_range=pc {CLOSED} -color_range pc"),
    Kind("h264_rotated_90", "mp4", CLOSED, turn_degrees=90, recut=("-display_rotation 270", "-c copy")),
    Kind("h264_rotated_180", "mp4", CLOSED, turn_degrees=180, recut=("-display_rotation 180", "-c copy")),
    Kind("h264_rotated_270", "mov", CLOSED, turn_degrees=270, recut=("-display_rotation 90", "-c copy")),
    Kind("h264_mirrored", "mp4", CLOSED, mirrored=True, recut=("-display_hflip", "-c copy")),
    Kind("h264_two_streams", "mkv", f"-map 0:v -map 1:v {CLOSED}", second_input=OTHER),
    Kind("h264_with_audio", "mp4", f"-map 0:v -map 1:a -c:a aac {CLOSED}", second_input=AUDIO),
    Kind("hevc_default", "mp4", f"{X265}:keyint=12:min-keyint=12:scenecut=0:bframes=3"),
    Kind("hevc_default", "mkv", f"{X265}:keyint=12:min-keyint=12:scenecut=0:bframes=3"),
    Kind("hevc_closed", "mp4", f"{X265}:keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=0"),
    Kind("hevc_default", "ts", f"{X265}:keyint=12:min-keyint=12:scenecut=0:bframes=3"),
    Kind("vp8", "webm", "-c:v libvpx -g 12 -b:v 400k -deadline realtime -cpu-used 8 -auto-alt-ref 0"),
    Kind("vp9", "webm", "-c:v libvpx-vp9 -pix_fmt yuv420p -g 12 -b:v 400k -deadline realtime -cpu-used 8 -threads 1"),
    Kind("vp9_hidden_frames", "mp4", "-c:v libvpx-vp9 -g 30 -b:v 400k -cpu-used 8 -auto-alt-ref 1 -lag-in-frames 16"),
    Kind("av1", "mp4", "-c:v libsvtav1 -preset 12 -g 12 -svtav1-params lp=1"),
    Kind("av1", "mkv", "-c:v libsvtav1 -preset 12 -g 12 -svtav1-params lp=1"),
    Kind("mpeg4_b_frames", "avi", "-c:v mpeg4 -q:v 3 -bf 2 -g 12"),
    Kind("mpeg4", "avi", "-c:v mpeg4 -q:v 3 -g 12"),
    Kind("xvid_b_frames", "avi", "-c:v libxvid -q:v 3 -bf 2 -g 12"),
    Kind("mpeg4_b_frames", "mp4", "-c:v mpeg4 -q:v 3 -bf 2 -g 12"),
    Kind("mpeg2", "ts", "-c:v mpeg2video -q:v 3 -bf 2 -g 12"),
    Kind("mpeg2", "mpg", "-c:v mpeg2video -q:v 3 -bf 2 -g 12"),
    Kind("wmv2", "wmv", "-c:v wmv2 -q:v 3 -g 12"),
    Kind("wmv2", "avi", "-c:v wmv2 -q:v 3 -g 12"),
    Kind("flv1", "flv", "-c:v flv -q:v 3 -g 12"),
    Kind("mjpeg", "mov", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"),
    Kind("mjpeg", "avi", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"),
    Kind("gif", "gif", "", fps="10"),
    Kind("theora", "ogv", "-c:v libtheora -q:v 7 -g 12"),
    Kind("ffv1", "mkv", "-c:v ffv1 -pix_fmt bgr0"),
    Kind("prores", "mov", "-c:v prores_ks"),
    Kind("h264_cut_in_half", "mkv", CLOSED, damage=cut_to(0.5), whole=False),
    Kind("h264_cut_in_half", "mp4", f"{CLOSED} -movflags +faststart", damage=cut_to(0.5), whole=False),
    Kind("mpeg4_cut_in_half", "avi", "-c:v mpeg4 -q:v 3 -g 12", damage=cut_to(0.5), whole=False),
    Kind("h264_scratched", "mp4", f"{CLOSED} -movflags +faststart", damage=scratch(0.6), whole=False),
    Kind("h264_scratched", "mkv", CLOSED, damage=scratch(0.6), whole=False),
]


def source_frames(num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 [T,H,W,C]: upper third the number in black and white blocks, then its complement, then a moving pattern."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    frames_THWC = np.empty((num_frames, height, width, 3), np.uint8)
    column = x * BITS // width
    for number in range(num_frames):
        for channel, (a, b) in enumerate([(0.05, 0.08), (0.07, 0.03), (0.02, 0.06)]):
            frames_THWC[number, :, :, channel] = 128 + 90 * np.sin(a * x + b * y + 0.2 * number * (1 + channel))
        bit = (number >> column) & 1
        frames_THWC[number][y < height // 3] = (235 * bit + 10)[y < height // 3][:, None]
        band = (y >= height // 3) & (y < 2 * height // 3)
        frames_THWC[number][band] = (245 - 235 * bit)[band][:, None]
    return frames_THWC


def stamped_number(picture_HWC: np.ndarray) -> int:
    """The number on a frame; -1 if the two stamps don't agree."""
    grey = picture_HWC.astype(np.float32).mean(axis=2)
    height, width = grey.shape
    number = complement = 0
    for bit in range(BITS):
        left, right = (bit * width) // BITS + width // 40 + 1, ((bit + 1) * width) // BITS - width // 40 - 1
        number |= int(grey[height // 12 : height // 4, left:right].mean() > 128) << bit
        complement |= int(grey[5 * height // 12 : 7 * height // 12, left:right].mean() <= 128) << bit
    return number if number == complement else -1


def upright(picture_HWC: np.ndarray, kind: Kind) -> np.ndarray:
    """The frame as it was before the file's display matrix."""
    picture = np.rot90(picture_HWC, kind.turn_degrees // 90)
    return picture[:, ::-1] if kind.mirrored else picture


def run_ffmpeg(arguments: list[str], *, data: bytes | None = None) -> bytes:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-hide_banner", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(command, input=data or b"", capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(arguments)}: {done.stderr.decode()[-500:]}")
    return done.stdout


@cache
def stamped_frames(num_frames: int, size: tuple[int, int]) -> bytes:
    """For ffmpeg; most kinds show the same."""
    return source_frames(num_frames, size).tobytes()


def make(kind: Kind, folder: Path) -> Path:
    """The file of a kind, made once per folder."""
    path = folder / str(kind)
    if path.exists():
        return path
    height, width = kind.size
    raw_frames = stamped_frames(kind.num_frames, kind.size)
    first = path.with_name(f"{kind.name}_first.{kind.first_suffix or kind.suffix}") if kind.recut[1] else path
    raw = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {kind.fps} -i -".split()
    encode = kind.encode.replace("'", "").split()
    run_ffmpeg([*raw, *kind.second_input.split(), *encode, str(first)], data=raw_frames)
    if kind.recut[1]:
        before, after = kind.recut
        run_ffmpeg([*before.split(), "-i", str(first), *after.split(), str(path)])
    if kind.damage:
        path.write_bytes(kind.damage(path.read_bytes()))
    return path


def reference_frames(path: Path, size: tuple[int, int]) -> np.ndarray:
    """uint8 [T,H,W,C]: what the ffmpeg program presents, in one thread; rounded to the nearest, with colors
    interpolated, but for 8-bit 4:2:0 of even height, which is converted in the fast way."""
    height, width = size
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        fast = video.pix_fmt in ("yuv420p", "yuvj420p") and video.height % 2 == 0
    flags = "bicubic" if fast else "bicubic+accurate_rnd+full_chroma_int"
    arguments = f"-threads 1 -i {path} -map 0:v:0 -fps_mode passthrough -sws_flags {flags} -f rawvideo -pix_fmt rgb24 -"
    return np.frombuffer(run_ffmpeg(arguments.split()), np.uint8).reshape(-1, height, width, 3)
