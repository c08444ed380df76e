"""videxp compress: a run folder with an int8 file of a run, timed and tested beside it.

RUN2/int8.onnx is what `videxp predict`, `evaluate`, `stream` and `serve` take. It is calibrated on training clips, read
and transformed as the run's test is. RUN2/compression.json holds where it comes from and what was measured.
The checkpoint in RUN2 is the run's own, in float32.
"""

import json
from pathlib import Path

from videxp import config
from videxp.core.errors import require_installed
from videxp.core.options import OneLineParser, positive
from videxp.core.printable import as_typed_here
from videxp.core.ranges import real_number, whole_number

SUMMARY = "RUN --quantize int8 -o RUN2  a smaller, faster file of a run, tested beside it"


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp compress", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--quantize", choices=["int8"], required=True)
    parser.add_argument("-o", "--output", metavar="RUN2", type=Path, required=True, help="the folder that is made")
    parser.add_argument(
        "--clips", metavar="N", type=whole_number(1), default=64, help="training clips to calibrate on (default 64)"
    )
    parser.add_argument(
        "--min-share",
        metavar="S",
        type=real_number(0, 1),
        default=0.9,
        help="refuse where a smaller share of convolutions and linear layers became int8 (default 0.9)",
    )
    parser.add_argument(
        "--min-channels",
        metavar="C",
        type=whole_number(0),
        default=8,
        help="convolutions that read fewer channels stay float, which is faster there, and do not count in the share "
        "(default 8; 0: none)",
    )
    parser.add_argument("--seconds", metavar="S", type=positive, default=5.0, help="of timing, at most (default 5)")
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=whole_number(1),
        default=900,
        help="for writing and comparing the float file, and again for the answers of the int8 file (default 900); "
        "loading, calibrating and testing come on top",
    )
    parser.add_argument("--json", action="store_true", help="print compression.json")
    options = parser.parse_args(arguments)

    from videxp.runs.folder import open_run

    run = open_run(options.run)
    cfg = config.load_resolved(run.config)

    from videxp.deploy.compressing.compressing import FILE, Settings, compress_run, require_new_folder, result_lines
    from videxp.training.changed_inputs import say_changed_inputs
    from videxp.training.log_file import quiet_libraries

    require_new_folder(options.output)
    require_installed("onnx", "onnxscript", "onnxruntime", extra="export")
    say_changed_inputs(run, cfg)
    quiet_libraries()
    settings = Settings(clips=options.clips, min_share=options.min_share, min_channels=options.min_channels)
    found = compress_run(
        run,
        cfg,
        output=options.output,
        settings=settings,
        seconds=options.seconds,
        time_limit=options.time_limit,
    )
    print(
        json.dumps(found)
        if options.json
        else "\n".join([*result_lines(found), str(as_typed_here(options.output / FILE))])
    )
    return 0
