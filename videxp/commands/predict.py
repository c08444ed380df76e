"""videxp predict: a run's model put to work on video files, or at making them."""

import argparse
from importlib import import_module

from videxp import config
from videxp.errors import BadRequest

SUMMARY = "RUN INPUT... -o OUT       a run at work: labels of videos as JSON, restored videos, new clips"
USAGE = """usage: videxp predict RUN INPUT... [-o OUT] [...]

RUN is a run folder; what comes after it depends on the run's task: videxp predict RUN --help
  classification   videxp predict RUN clips/ more.mp4 -o labels.json
  restoration      videxp predict RUN video.mp4 -o restored.mp4
  generation       videxp predict RUN --num 16 --seconds 4 --seed 0 -o clips/"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    path, *rest = arguments
    if path.startswith("-"):
        raise BadRequest(f"the run folder comes first, got {path}: videxp predict RUN INPUT... {path} ...")

    from videxp.runs.folder import open_run

    run = open_run(path)  # before the slow imports
    cfg = config.load_resolved(run.config)

    from videxp.commands.train import quiet_libraries
    from videxp.experiment import load_task

    quiet_libraries()
    datamodule = config.build(cfg.dataset)  # for its clips and transforms; the data need not be there
    task = load_task(cfg, run.checkpoint())
    if not task.predictor:
        raise BadRequest(f"{path} is a run of {type(task).__name__}, which says nothing about predicting")
    predictor = import_module(task.predictor)
    parser = argparse.ArgumentParser(prog=f"videxp predict {path}", description=predictor.__doc__)
    predictor.add_arguments(parser)
    return predictor.predict(task, datamodule, parser.parse_args(rest))
