"""videxp serve: a model behind an address, to which videos are sent; the answer is
what `videxp predict` writes. The page at / is for trying it, /openapi.json describes
it, /health and /metrics are for machines:

  curl -F video=@VIDEO.mp4 http://127.0.0.1:8000/predict

Options of the run's task come after --, as videxp predict RUN --help lists them:

  videxp serve RUN --port 8001 -- --threshold 0.3
"""

import argparse
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

from videxp import config
from videxp.cli.commands.predict import Parser, find_predictor, parser_of
from videxp.core.errors import BadRequest, require_installed
from videxp.core.ranges import real_number, whole_number
from videxp.core.secrets import remember

if TYPE_CHECKING:
    from videxp.deploy.serving.served import Served

SUMMARY = "RUN|FILE                  the model behind an address, with a page to try it"
TOKEN = "VIDEXP_SERVE_TOKEN"
MIN_TOKEN = 8


def main(arguments: list[str]) -> int:
    own, words = _parted(arguments)
    options = parse_arguments(own)
    token = read_token(options.token, host=options.host)
    require_model(options.run)  # before the slow imports
    require_installed("fastapi", "uvicorn", extra="serve")

    from videxp.deploy.serving.server import Service, listen, serve

    with listen(options.host, options.port) as listening:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        served = load_served(options, words)
        service = Service(options.workers, options.batch, options.queue, token, threads)
        serve(served, listening, service)
    return 0


def require_model(path: str) -> None:
    """Raises BadRequest for what is neither a run folder nor a file that may be an exported one."""
    from videxp.deploy.exporting.package import is_exported, require_exported
    from videxp.runs.folder import open_run

    if is_exported(path) and not Path(path).is_dir():
        require_exported(Path(path))
    else:
        open_run(path)


def load_served(options: argparse.Namespace, words: tuple[str, ...]) -> "Served":
    """Raises BadRequest for what cannot be served, and for `words` that its predictor does not take."""
    from videxp.deploy.exporting.package import is_exported
    from videxp.deploy.serving.loading import model_of_file, model_of_run
    from videxp.deploy.serving.refusal import RequestLimits
    from videxp.deploy.serving.served import Served, require_servable
    from videxp.runs.folder import open_run
    from videxp.training.changed_inputs import say_changed_inputs
    from videxp.training.log_file import quiet_libraries

    is_file = is_exported(options.run) and not Path(options.run).is_dir()
    if is_file and options.device not in ("auto", "cpu"):
        raise BadRequest(f"--device {options.device}: a file computes on the CPU here: leave --device out")
    run = None if is_file else open_run(options.run)
    model = model_of_file(Path(options.run)) if run is None else model_of_run(run)
    predictor = find_predictor(model.cfg, options.run)
    parser = parser_of(predictor, options.run)
    require_servable(predictor, words, run=options.run, read_options=parser.parse_args)
    if run is not None:
        say_changed_inputs(run, model.cfg)
    quiet_libraries()
    datamodule = config.build(model.cfg.dataset)  # for its clips and transforms; the data need not be there
    return Served(
        title=f"{model.name} ({str(model.cfg.task._target_).split('.')[-1]})",
        load=model.make_loader(datamodule),
        device="cpu" if is_file else options.device,
        datamodule=datamodule,
        predictor=predictor,
        read_options=parser.parse_args,
        words=words,
        limits=RequestLimits(
            max_bytes=round(options.max_mb * 1e6),
            max_seconds=options.max_seconds,
            max_pixels=options.max_pixels,
            seconds=options.timeout,
            memory_bytes=options.memory_mb << 20,
        ),
    )


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="videxp serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN|FILE", help="a run folder, or a file of videxp export")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1: this machine alone"
    )
    parser.add_argument(
        "--port", type=whole_number(0, 65535), default=8000, metavar="N", help="default 8000; 0: a free one"
    )
    parser.add_argument(
        "--token", metavar="TEXT", help=f"what requests must send as their bearer token; better in {TOKEN}"
    )
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes; default 1")
    parser.add_argument(
        "--batch",
        type=whole_number(1),
        default=8,
        metavar="N",
        help="videos that a classifier answers together; default 8",
    )
    parser.add_argument(
        "--queue",
        type=whole_number(0),
        default=16,
        metavar="N",
        help="requests that may wait, others get 429; default 16",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1; default: a GPU if there is one")
    limits = parser.add_argument_group("limits of a request")
    limits.add_argument(
        "--max-mb", type=real_number(0, above=True), default=100, metavar="N", help="megabytes of the file; default 100"
    )
    limits.add_argument(
        "--max-seconds",
        type=real_number(0, above=True),
        default=120,
        metavar="S",
        help="length of the video; default 120",
    )
    limits.add_argument(
        "--max-pixels", type=whole_number(1), default=1920 * 1088, metavar="N", help="of a frame; default 1920 x 1088"
    )
    limits.add_argument(
        "--timeout", type=real_number(0, above=True), default=120, metavar="S", help="seconds of work; default 120"
    )
    limits.add_argument(
        "--memory-mb", type=whole_number(1), default=4096, metavar="N", help="MiB that a video may take; default 4096"
    )
    return parser.parse_args(arguments)


def read_token(given: str | None, *, host: str) -> str:
    """ "" for none. Raises BadRequest for a short one, and for none where others than this machine can ask."""
    token = os.environ.get(TOKEN, "") if given is None else given
    if given == "" or (token and len(token) < MIN_TOKEN):
        raise BadRequest(f"--token: takes at least {MIN_TOKEN} characters")
    if not token and not _is_this_machine(host):
        raise BadRequest(f"--host {host}: others can ask there: set a token, {TOKEN}=... or --token TEXT")
    remember(token)
    return token


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parted(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """(videxp serve's own, those after --). Raises BadRequest for an output among these."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    words = tuple(arguments[at + 1 :])
    if output := next((word for word in words if word.startswith(("-o", "--output"))), None):
        raise BadRequest(f"-- {output}: an answer goes to who asks for it: leave it out")
    return arguments[:at], words
