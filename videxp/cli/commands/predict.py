"""videxp predict: a run's model, or an exported file, put to work on video files, or at making them."""

import argparse
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from videxp import __version__, config
from videxp.core.contract import contract_of, contract_trouble
from videxp.core.errors import BadRequest
from videxp.core.options import VERIFY, take_verify
from videxp.deploy.exporting.package import is_exported, require_exported
from videxp.runs.signing import require_signed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.runs.folder import RunFolder
    from videxp.tasks import VideoTask

SUMMARY = "RUN INPUT... -o OUT       a run at work: labels of videos as JSON, restored videos, new clips"
USAGE = """usage: videxp predict RUN INPUT... [-o OUT] [...]

RUN is a run folder, or a file that videxp export made of one (.onnx, .pt2,
.xml); what comes after it depends on the run's task: videxp predict RUN --help

With launcher=local, slurm or ray (and launcher.KEY=VALUE, as for a sweep) jobs
divide the inputs among them; the same command again does what is left."""
LAUNCHER = ("launcher=", "launcher.")


class Parser(argparse.ArgumentParser):
    """Its errors are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        raise BadRequest(f"{message.removeprefix('argument ')}; {self.prog} --help")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("\n".join([USAGE, *examples()]))
        return 0 if arguments else 2
    path, *rest = arguments
    if path.startswith("-"):
        raise BadRequest(f"the run folder comes first, got {path}: videxp predict RUN INPUT... {path} ...")
    key, rest = take_verify(rest)
    if key is not None:
        require_signed(Path(path), key)

    if any(text.startswith(LAUNCHER) for text in rest):
        return predict_by_jobs(path, rest)
    if is_exported(path):
        return predict_by_file(path, rest)

    from videxp.runs.folder import open_run

    run = open_run(path)  # before the slow imports
    cfg = config.load_resolved(run.config)
    predictor, options = read_request(cfg, path, rest)

    from videxp.training.changed_inputs import say_changed_inputs

    say_changed_inputs(run, cfg)

    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    task, datamodule = load_run(run, cfg, options)
    return predictor.predict(task, datamodule, options)


def predict_by_jobs(path: str, words: list[str]) -> int:
    """The same by jobs of a launcher, of inputs that are not done already."""
    from videxp.runs.folder import open_run
    from videxp.runs.weights import checkpoint_hash
    from videxp.sweeps.batch import spread

    around = [text for text in words if text.startswith(LAUNCHER)]
    own = [text for text in words if not text.startswith(LAUNCHER)]
    if is_exported(path):
        raise BadRequest(f"{path}: jobs are of a run folder: give that, or leave launcher out")
    run = open_run(path)
    cfg = config.load_resolved(run.config)
    predictor = find_predictor(cfg, path)
    options = parser_of(predictor, path).parse_args(own)
    if not hasattr(predictor, "parts"):
        raise BadRequest(f"launcher: a run of {cfg.task._target_} does not divide its work: leave launcher out")
    node = config.compose_launcher(around)
    overwrite, options.overwrite = options.overwrite, True  # what an earlier call has done is there already
    predictor.check(options)
    options.overwrite = overwrite
    launcher = config.build(node)
    try:
        return spread(
            options,
            predictor=predictor,
            launcher=launcher,
            run=run.path.absolute(),
            words=own,
            weights=str(checkpoint_hash(run.checkpoint())),
        )
    finally:
        launcher.close()


def carry_out_shard_in(folder: Path) -> int:
    """What one of these jobs does; `folder` holds its shard.json."""
    import torch

    from videxp.core.files import read_json
    from videxp.runs.folder import open_run
    from videxp.sweeps.batch import SHARD, carry_out_shard
    from videxp.training.log_file import quiet_libraries

    shard = read_json(folder / SHARD)
    if shard["threads"]:
        torch.set_num_threads(shard["threads"])
    run = open_run(shard["run"])
    cfg = config.load_resolved(run.config)
    predictor = find_predictor(cfg, shard["run"])
    options = parser_of(predictor, shard["run"]).parse_args(shard["words"])
    quiet_libraries()
    task, datamodule = load_run(run, cfg, options)
    return carry_out_shard(
        shard, options, check=predictor.check, predict=lambda own: predictor.predict(task, datamodule, own)
    )


def load_run(run: "RunFolder", cfg: "DictConfig", options: argparse.Namespace) -> tuple["VideoTask", Any]:
    """(the trained task, the data module); new videos will name the run in their comment."""
    from videxp.tasks.building import load_task

    datamodule = config.build(cfg.dataset)  # for its clips and transforms; the data need not be there
    task = load_task(cfg, run.checkpoint())
    if hasattr(options, "made_by"):
        from videxp.runs.weights import checkpoint_hash

        options.made_by = made_by(run.path.resolve().name, str(checkpoint_hash(run.checkpoint())))
    return task, datamodule


def predict_by_file(path: str, words: list[str]) -> int:
    """The same, answered by an exported file in place of the run's network."""
    require_exported(Path(path))  # before the slow imports

    from videxp.deploy.exporting.network import config_of, task_of
    from videxp.deploy.exporting.opening import open_exported
    from videxp.training.log_file import quiet_libraries

    exported = open_exported(path)
    cfg = config_of(exported)
    predictor, options = read_request(cfg, path, words)
    if str(getattr(options, "device", "auto")) not in ("auto", "cpu"):
        raise BadRequest(f"--device {options.device}: a file computes on the CPU here: leave --device out")
    options.device = "cpu"
    options.made_by = made_by(exported.package.run_id, exported.package.weights_sha256)
    quiet_libraries()
    datamodule = config.build(cfg.dataset)
    return predictor.predict(task_of(exported, cfg, datamodule.eval_transform), datamodule, options)


def made_by(run_id: str, weights: str) -> str:
    """What new videos say of their making: `made by videxp 0.1.0, run 20260731-1a2b, weights 3f9a1c02`."""
    return f"made by videxp {__version__}, run {run_id}, weights {weights[:8]}"


def examples() -> list[str]:
    """A line for each task that predicts."""
    contracts = {name: contract for name, contract in config.task_contracts().items() if contract.predictor}
    width = max(map(len, contracts))
    return [f"  {name:<{width}}  videxp predict RUN {one.predict_example}" for name, one in contracts.items()]


def read_request(cfg: "DictConfig", run: str, words: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module that the run's task names, and what it is asked for; what it refuses costs no loading of weights."""
    predictor = find_predictor(cfg, run)
    parser = parser_of(predictor, run)
    parser.epilog = f"--verify PUB.pem: {VERIFY}"
    options = parser.parse_args(words)
    if hasattr(predictor, "check"):
        predictor.check(options)
    return predictor, options


def find_predictor(cfg: "DictConfig", run: str) -> ModuleType:
    """Raises BadRequest where the run's task names none."""
    task = str(cfg.task._target_)
    if trouble := contract_trouble(task):
        raise BadRequest(f"{run} is a run of {task}: {trouble}")
    contract = contract_of(task)
    name = contract.predictor if contract else ""
    if not name:
        raise BadRequest(f"{run} is a run of {cfg.task._target_.split('.')[-1]}, which says nothing about predicting")
    return import_module(name)


def parser_of(predictor: ModuleType, run: str) -> Parser:
    """Of what follows RUN."""
    parser = Parser(prog=f"videxp predict {run}", description=predictor.__doc__)
    predictor.add_arguments(parser)
    return parser
