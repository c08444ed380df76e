"""videxp prepare: read a data set once, so that training meets no file that nobody has opened."""

import argparse
import json

from videxp import config

SUMMARY = "DATASET [overrides]       scan a data set, list unreadable files, write its manifest"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp prepare", description=__doc__)
    parser.add_argument("dataset", metavar="DATASET", help="a name from `videxp list datasets`")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.root=/data/ucf101")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    from videxp.data.preparation import manifest_path, prepare

    cfg = config.compose_dataset(options.dataset, options.overrides)
    layout = config.build(cfg.dataset.layout)
    place = {"root": cfg.dataset.root, "cache_dir": cfg.dataset.cache_dir, "name": cfg.dataset.name}
    manifest = prepare(layout, **place, max_unreadable=cfg.dataset.max_unreadable)
    facts = {
        "data": manifest.name,
        "root": manifest.root,
        "clips": manifest.counts,
        "classes": len(manifest.classes),
        "unreadable": [f"{path}: {cause}" for path, cause in manifest.unreadable.items()],
        "fingerprint": manifest.fingerprint,
        "manifest": str(manifest_path(layout, **place)),
    }
    if options.json:
        print(json.dumps(facts))
        return 0
    facts["classes"] = facts["classes"] or "no labels"
    for name, value in facts.items():
        print(f"{name:<12}{_text(value)}")
    return 0


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {split}" for split, count in value.items())
    return "\n".join(str(item) for item in value) or "none" if isinstance(value, list) else str(value)
