"""Which decoders are installed, and which FFmpeg is inside each: another one may decode other pixels."""

import re
from importlib.metadata import PackageNotFoundError, files, version

# libavcodec-bc50294c.so.58.35.100, libavcodec.58.dylib, avcodec-58.dll
LIBRARY = re.compile(r"(?:^|/)(?:lib)?(avcodec|avformat|avutil|swscale)[^/]*?[.-](\d+(?:\.\d+)*)(?:\.dylib|\.dll)?$")


def decoder_versions() -> dict[str, dict[str, str]]:
    """Name -> {"version", "avcodec", "swscale", ...} of each decoder that is installed; opens no file."""
    found = {name: {"version": text, **_bundled(name)} for name in ("decord", "torchcodec") if (text := _version(name))}
    import av

    libraries = {name.removeprefix("lib"): ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    ffmpeg = str(getattr(av, "ffmpeg_version_info", ""))
    wanted = {name: libraries[name] for name in ("avcodec", "avformat", "avutil", "swscale") if name in libraries}
    return {"pyav": {"version": av.__version__, "ffmpeg": ffmpeg, **wanted}, **found}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _bundled(name: str) -> dict[str, str]:
    """FFmpeg's libraries that the wheel carries, by their file names."""
    matches = (LIBRARY.search(str(path)) for path in files(name) or [])
    return {match[1]: match[2] for match in matches if match}
