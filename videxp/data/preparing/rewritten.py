"""Files that were written over so that neither their size nor their time tells: found by reading all of them."""

from pathlib import Path

from videxp.core.progress import progress
from videxp.data.layouts.base import Layout
from videxp.data.manifest import Manifest
from videxp.data.preparing.preparation import content_hash


def rewritten_files(manifest: Manifest, layout: Layout) -> list[str]:
    """Paths, relative to the manifest's root, whose content is not the manifest's any more; also of those that are gone
    or cannot be read."""
    hashes = {
        path: digest
        for paths, digests in (("path", "content_hash"), ("input", "input_hash"))
        for path, digest in zip(manifest[paths], manifest[digests])
        if path and digest
    }
    found = []
    with progress("Reading whole files", len(hashes), unit="files") as advance:
        for path, digest in hashes.items():
            if _content(Path(manifest.root, path), layout) != digest:
                found.append(path)
            advance()
    return found


def _content(file: Path, layout: Layout) -> str:
    try:
        facts = layout.facts(file)
        return facts.content_hash if facts else content_hash(file)
    except OSError:
        return ""
