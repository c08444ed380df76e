"""videxp prepare: scan a data set once: every file opened, measured and fingerprinted."""

import argparse
import json

from videxp import config
from videxp.errors import BadRequest

SUMMARY = "DATASET [overrides]       scan a data set, list unreadable files, write its manifest"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp prepare", description=__doc__)
    parser.add_argument("dataset", metavar="DATASET", help="a name from `videxp list datasets`")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset.root=/data/ucf101")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    raise BadRequest("not yet")
