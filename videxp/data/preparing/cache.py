"""A data set copied once into shards for random clips: `videxp prepare DATASET --cache FOLDER`, `dataset.cache=FOLDER`.

    FOLDER/cache.json            how it was made, from what, and how large each shard is; written last
    FOLDER/index.tsv             a manifest: in which shard the copy of each file lies, and where
    FOLDER/index-DIGEST.packets  the copies' tables of packets
    FOLDER/shards/DIGEST.shard   the copies

A copy has the source's frames, one for one, so that clips are chosen as they are from the source. Making a cache again
makes the shards that are missing, after a kill or after files were added, and no others.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import only_one, read_json, replacing, write_text
from videxp.core.processes import in_processes
from videxp.data.manifest import Facts, Manifest, Row, Strings
from videxp.data.packets_file import Tables, is_whole, packets_writer, remove_other_packets
from videxp.data.preparing.shards import Copy, Making, Shard, SourceVideo, damaged, make_shard, read_list, read_table
from videxp.video import filesystem, is_remote
from videxp.video.byte_file import ask_store

FORMAT = 3
MAX_VIDEOS_PER_SHARD, SHARDS_AIMED_AT = 256, 64
MAX_NAMED = 3
# What a copy's frames are read by, instead of the source's.
COLUMNS = ("width", "height", "packets_byte", "packets_size", "shard_byte", "shard_size")


def make_cache(manifest: Manifest, folder: Path, *, making: Making, processes: int | None = None) -> dict[str, Any]:
    """Make what is missing or damaged under `folder`, with all cores; returns what `cache.json` tells.

    Of several commands at once the first makes it; the others wait, and find it made.
    Raises BadRequest for data that cannot be cached, VidexpError where a file no longer decodes.
    """
    if any(manifest["input"]):
        raise BadRequest(f"Data set {manifest.name}: pairs of files are not cached: they are read as they are")
    with only_one(folder / ".lock"):
        return _make(manifest, folder, making=making, processes=processes)


def _make(manifest: Manifest, folder: Path, *, making: Making, processes: int | None) -> dict[str, Any]:
    shards = {shard.name: shard for shard in _shards(manifest, making)}
    place = folder / "shards"
    place.mkdir(parents=True, exist_ok=True)
    lost = [name for name in shards if not _is_whole(place / name)]
    if lost:
        make = partial(make_shard, folder=place)
        for _ in in_processes(
            make, [shards[name] for name in lost], description=f"Caching {manifest.name}", processes=processes
        ):
            pass
    _write_index(folder, shards)
    about = {
        "format": FORMAT,
        "making": asdict(making),
        "source": manifest.fingerprint,
        "source_bytes": sum(dict(zip(manifest["path"], manifest["size_bytes"].tolist())).values()),
        "bytes": sum(file.stat().st_size for file in [*(place / name for name in shards), *folder.glob("index*")]),
        "shards": {name: (place / name).stat().st_size for name in shards},
    }
    write_text(folder / "cache.json", json.dumps(about, indent=1) + "\n")
    for other in place.glob("*.shard"):
        if other.name not in shards:
            other.unlink()
    return {**about, "made": len(lost)}


def is_part_of_cache(name: str) -> bool:
    """Whether `make_cache` makes files or folders of this name in its folder, also when it is killed."""
    return name in ("cache.json", "shards") or name.startswith(("index", "."))


def _shards(manifest: Manifest, making: Making) -> list[Shard]:
    """Every readable content once, in the manifest's order."""
    sources: dict[str, SourceVideo] = {}
    for path, content, fps, error in zip(*(manifest[name] for name in ("path", "content_hash", "fps", "error"))):
        if not error and content not in sources:
            sources[content] = SourceVideo(Path(manifest.root, path), content, float(fps), manifest.frame_template)
    each = min(MAX_VIDEOS_PER_SHARD, max(1, -(-len(sources) // SHARDS_AIMED_AT)))
    ordered = list(sources.values())
    return [Shard(tuple(ordered[first : first + each]), making) for first in range(0, len(ordered), each)]


def _is_whole(path: Path) -> bool:
    try:
        return path.exists() and not damaged(path)
    except BadRequest:
        return False


def _write_index(folder: Path, shards: dict[str, Shard]) -> None:
    rows = []
    with packets_writer(folder / "index") as writer:
        for name, shard in shards.items():
            path = folder / "shards" / name
            for source, copy in zip(shard.sources, read_list(path), strict=True):
                facts = _facts(copy, shard=name, shard_bytes=path.stat().st_size)
                rows.append((Row(str(source.path), "train"), writer.add(facts, Tables(read_table(path, copy)))))
    index = Manifest.from_rows(rows, name="cache", root="", classes=[], packets_file=writer.file)
    index.write(folder / "index.tsv")
    remove_other_packets(writer.file, stem=folder / "index")


def _facts(copy: Copy, *, shard: str, shard_bytes: int) -> Facts:
    return Facts(
        content_hash=copy.content_hash,
        width=copy.width,
        height=copy.height,
        shard=shard,
        shard_byte=copy.byte,
        shard_size=shard_bytes,
    )


# ---- using -------------------------------------------------------------------------------------------------------


def from_cache(manifest: Manifest, folder: str, *, cache_dir: Path) -> Manifest:
    """The same samples, to be read from their copies. Quick: it looks at the shards' sizes, not into them.

    folder: also a URL that fsspec knows (`s3://bucket/cached`); its index is then copied into `cache_dir`.
    Raises BadRequest where there is no finished cache, where files have none in it, or where a shard is not whole.
    """
    again = f"run `videxp prepare {manifest.name} --cache {folder}` (again)"
    try:
        place, sizes = _fetched(folder, cache_dir) if is_remote(folder) else _found(Path(folder))
        about = read_json(place / "cache.json")
        if about["format"] != FORMAT:
            raise ValueError
        making, shard_bytes = Making(**about["making"]), dict(about["shards"])
    except FileNotFoundError as error:
        lost = Path(error.filename or str(error)).name
        raise BadRequest(f"dataset.cache={folder}: {lost} is missing: {again}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        what = (
            f"no cache of this version ({error})"
            if is_remote(folder)
            else "cache.json is damaged or of another version"
        )
        raise BadRequest(f"dataset.cache={folder}: {what}: {again}") from None
    if lost_shards := [name for name in shard_bytes if name not in sizes]:
        raise BadRequest(f"dataset.cache={folder}: {lost_shards[0]} is missing: {again}")
    if wrong := [name for name, size in shard_bytes.items() if sizes[name] not in (size, None)]:
        raise BadRequest(f"dataset.cache={folder}: {len(wrong)} shards are damaged, such as {wrong[0]}: {again}")
    try:
        index = Manifest.read(place / "index.tsv")
    except BadRequest:
        raise BadRequest(f"dataset.cache={folder}: index.tsv is damaged: {again}") from None
    if index.packets_file is not None and not is_whole(index.packets_file):
        raise BadRequest(f"dataset.cache={folder}: {index.packets_file.name} is damaged or missing: {again}")
    row_of = {content: row for row, content in enumerate(index["content_hash"])}
    rows = [row_of.get(content, -1) for content in manifest["content_hash"]]
    if stale := [path for path, row, error in zip(manifest["path"], rows, manifest["error"]) if row < 0 and not error]:
        named = ", ".join(stale[:MAX_NAMED])
        raise BadRequest(
            f"dataset.cache={folder}: is stale: {len(stale)} of {len(rows)} samples are not in it as they are now "
            f"({named}): {again}"
        )
    return replace(
        manifest,
        columns={**manifest.columns, **_copied_columns(index, rows)},
        packets_file=index.packets_file,
        frame_template="",
        shards=f"{folder}/shards",
        cache=str(making),
    )


def _found(folder: Path) -> tuple[Path, dict[str, int | None]]:
    """Where the index is, and the shards' sizes."""
    (folder / "cache.json").stat()
    return folder, {file.name: file.stat().st_size for file in (folder / "shards").glob("*.shard")}


def _fetched(url: str, cache_dir: Path) -> tuple[Path, dict[str, int | None]]:
    """The same of a store, once its index is here. Tables of packets that are here already are not fetched again."""
    store, root = filesystem(url)
    place = cache_dir / "stores" / blake2b(url.encode(), digest_size=6).hexdigest()
    packets = [path for path in _listed(store, root) if path.endswith(".packets")]
    for name in ["cache.json", "index.tsv", *(path.rsplit("/", 1)[-1] for path in packets)]:
        if not (name.endswith(".packets") and is_whole(place / name)):
            data = ask_store(partial(store.cat_file, f"{root}/{name}"))
            with replacing(place / name) as temporary:
                temporary.write_bytes(data)
    sizes = {path.rsplit("/", 1)[-1]: size for path, size in _listed(store, f"{root}/shards").items()}
    return place, sizes


def _listed(store: Any, folder: str) -> dict[str, int | None]:
    """Path -> bytes; None: a web server does not tell."""
    entries = ask_store(partial(store.ls, folder, detail=True))
    return {entry["name"]: entry["size"] for entry in entries if entry["type"] == "file"}


def _copied_columns(index: Manifest, rows: Sequence[int]) -> dict[str, Any]:
    taken = np.maximum(rows, 0)  # an unreadable file's row is anybody's
    columns: dict[str, Any] = {name: index[name][taken] for name in COLUMNS}
    same = {"shard": index["shard"][taken], "rotation_degrees": np.zeros(len(rows), np.int64)}
    return {**columns, **same, "decoder": Strings.pack(["cache"] * len(rows))}
