"""videxp prepare: read a data set once, so that training meets no file that nobody has opened."""

import argparse
import json
from typing import TYPE_CHECKING

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.files import expand_home
from videxp.core.options import OneLineParser
from videxp.core.outputs import require_own_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.data.description import Description
    from videxp.data.manifest import Manifest

SUMMARY = "DATASET [overrides]       scan a data set, list unreadable files, write its manifest"


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp prepare", description=__doc__)
    parser.add_argument("dataset", metavar="DATASET", help="a name from `videxp list datasets`")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.root=/data/ucf101")
    parser.add_argument(
        "--thorough",
        action="store_true",
        help="read all files again, and decode every picture of folders of frames: otherwise 16 of each are, and of "
        "the rest the header and the end are looked at. Of videos every frame is decoded in any case",
    )
    parser.add_argument(
        "--cache", metavar="FOLDER", help="also make copies for random clips, read by dataset.cache=FOLDER"
    )
    parser.add_argument(
        "--format",
        choices=("small", "medium", "raw"),
        help="of the copies: H.264 of few bytes, H.264 that is quick to decode (the default), RGB as it is",
    )
    parser.add_argument("--short-side", type=int, metavar="PIXELS", help="of the copies; else that of the source")
    parser.add_argument(
        "--crf", type=float, help="quality of the copies in H.264: 18 is hard to tell from the source (21)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_intermixed_args(arguments)
    check_options(options)

    from videxp.data.left_out import lost_classes
    from videxp.data.notes import wrapped
    from videxp.data.preparing.preparation import manifest_path, prepare

    cfg = config.compose_dataset(options.dataset, options.overrides)
    layout = config.build(cfg.dataset.layout)
    how = cfg.dataset.preparing
    place = {"root": cfg.dataset.root, "cache_dir": how.cache_dir, "name": cfg.dataset.name}
    allowed = {"max_unreadable": cfg.dataset.max_unreadable, "allow_copies": how.allow_copies}
    manifest = prepare(layout, **place, **allowed, thorough=options.thorough)
    facts = {
        "data": manifest.name,
        "root": manifest.root,
        "clips": manifest.counts,
        "classes": len(manifest.classes),
        "unreadable": [f"{path}: {cause}" for path, cause in manifest.unreadable.items()],
        "listing": [f"{about}: {text}" for about, text in manifest.notes],
        "fingerprint": manifest.fingerprint,
        "manifest": str(manifest_path(layout, **place)),
    }
    if options.cache:
        facts |= make_copies(manifest, options, stride=cfg.dataset.stride_frames)
    if lost := list(lost_classes(manifest, manifest.unreadable)):
        facts["lost"] = lost
    videos = describe(manifest, cfg)
    if options.json:
        print(json.dumps({**facts, **dict(videos.lines()), "notes": videos.notes()}))
        return 0
    facts["classes"] = facts["classes"] or "no labels"
    del facts["listing"]
    for name, value in facts.items():
        print(f"{name:<12}{_text(value)}")
    for name, text in videos.rows(columns=80 - 12):
        print(f"{name:<12}{text}")
    for about, text in manifest.notes:
        print(f"{about:<12}{wrapped(text, indent=12)}")
    return 0


def describe(manifest: "Manifest", cfg: "DictConfig") -> "Description":
    """What the videos are like, and what follows from it for clips as the config wants them."""
    from videxp.data.description import Description

    clips = config.build(cfg.dataset.clips)
    choice = clips.choice("train", num_frames=cfg.dataset.num_frames)
    return Description(manifest, choice, test_clips=clips.test_clips)


def check_options(options: argparse.Namespace) -> None:
    """Raises BadRequest."""
    from videxp.data.preparing.cache import is_part_of_cache
    from videxp.video.byte_file import is_remote

    given = {"--format": options.format, "--short-side": options.short_side, "--crf": options.crf}
    for name, value in given.items():
        if value is not None and not options.cache:
            raise BadRequest(f"prepare: {name} {value} is about copies: give --cache FOLDER too")
    if options.cache and is_remote(options.cache):
        raise BadRequest(f"prepare: --cache {options.cache}: make it in a folder, then copy that to the store")
    if options.cache:
        require_own_folder(expand_home(options.cache), known=is_part_of_cache, option="--cache")
    if options.short_side is not None and options.short_side < 16:
        raise BadRequest(f"prepare: --short-side {options.short_side}: at least 16 pixels")
    if options.crf is not None and not 0 <= options.crf <= 51:
        raise BadRequest(f"prepare: --crf {options.crf:g}: from 0 (no loss) to 51")


def make_copies(manifest: "Manifest", options: argparse.Namespace, *, stride: int) -> dict[str, object]:
    from videxp.data.preparing.cache import make_cache
    from videxp.data.preparing.preparation import absolute
    from videxp.data.preparing.shards import Making

    made_so = Making(
        options.format or "medium", options.short_side, stride, 21.0 if options.crf is None else options.crf
    )
    told = make_cache(manifest, absolute(options.cache), making=made_so)
    share, size = told["bytes"] / max(1, told["source_bytes"]), f"{told['bytes'] / 1e6:,.1f} MB"
    return {
        "cache": f"{options.cache}: {len(told['shards'])} shards, {size}, {share:.2f} x the source",
        "use": f"dataset.cache={options.cache}",
    }


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {split}" for split, count in value.items())
    return "\n".join(str(item) for item in value) or "none" if isinstance(value, list) else str(value)
