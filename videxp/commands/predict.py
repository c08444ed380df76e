"""videxp predict: a run's model on video files."""

import argparse
import glob
import json
from pathlib import Path

from videxp import config
from videxp.errors import BadRequest

SUMMARY = "RUN INPUT... -o OUT       labels for video files, as JSON"
VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".gif"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp predict", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="video files, folders or globs")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a JSON file; default: the terminal")
    options = parser.parse_args(arguments)
    paths = expand(options.inputs)

    from videxp.commands.train import quiet_libraries
    from videxp.deploy import label_video
    from videxp.experiment import build_task, set_weights
    from videxp.runs.folder import open_run, write_json
    from videxp.runs.weights import read_checkpoint
    from videxp.tasks import Classification

    run = open_run(options.run)
    cfg = config.load_resolved(run.config)
    checkpoint = run.checkpoint()
    state = read_checkpoint(checkpoint)["state_dict"]
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    task = build_task(cfg, datamodule)
    if not isinstance(task, Classification):
        raise BadRequest(f"{options.run} is a run of {type(task).__name__}: predict labels classification runs only")
    set_weights(task, state, path=checkpoint)
    task.eval()
    results = [label_video(task, datamodule, path) for path in paths]
    if options.output is None:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        write_json(options.output, results)
        print(f"{len(results)} videos -> {options.output}")
    return 0


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
