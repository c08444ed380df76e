"""videxp predict: a run's model on video files."""

import argparse
import glob
import json
import sys
from pathlib import Path
from typing import Any

from videxp import config
from videxp.errors import BadRequest, VidexpError

SUMMARY = "RUN INPUT... -o OUT       labels for video files, as JSON"
MAX_NAMED = 3  # files on the terminal; all are in the output
VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".gif"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp predict", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="video files, folders or globs")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a JSON file; default: the terminal")
    options = parser.parse_args(arguments)
    paths = expand(options.inputs)

    from videxp.runs.folder import open_run

    run = open_run(options.run)  # before the slow imports
    cfg = config.load_resolved(run.config)

    from videxp.commands.train import quiet_libraries
    from videxp.experiment import load_task
    from videxp.runs.folder import write_json
    from videxp.tasks import Classification

    quiet_libraries()
    datamodule = config.build(cfg.dataset)  # for its clips and transforms; the data need not be there
    task = load_task(cfg, run.checkpoint())
    if not isinstance(task, Classification):
        raise BadRequest(f"{options.run} is a run of {type(task).__name__}: predict labels classification runs only")
    results = [_labelled_or_error(task, datamodule, path) for path in paths]
    failed = [result for result in results if "error" in result]
    if options.output is None:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        write_json(options.output, results)
        print(f"{len(results) - len(failed)} of {len(results)} videos -> {options.output}")
    for result in failed[:MAX_NAMED]:
        print(f"videxp: {result['error'].splitlines()[0]}", file=sys.stderr)
    return 1 if failed else 0


def _labelled_or_error(task: Any, datamodule: Any, path: Path) -> dict[str, Any]:
    """One unreadable file among thousands must not cost the others."""
    from videxp.deploy import label_video

    try:
        return label_video(task, datamodule, path)
    except VidexpError as error:
        return {"path": str(path), "error": str(error)}


def expand(inputs: list[str]) -> list[Path]:
    """Files as they are, folders to the videos beneath them, globs to what they match."""
    paths: list[Path] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        elif path.is_file():
            found = [path]
        else:
            found = sorted(Path(p) for p in glob.glob(text, recursive=True))
        if not found:
            raise BadRequest(f"{text}: no such video file, folder with videos, or glob that matches one")
        paths += found
    return paths
