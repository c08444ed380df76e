"""`python -m tests.video.torchcodec_process FOLDER`: the torture set through torchcodec; prints outcomes as JSON."""

import json
import sys
from pathlib import Path

import numpy as np

from tests.video.comparing import compare
from tests.video.torture_set import KINDS


def main(folder: Path) -> None:
    kinds = {str(kind): kind for kind in KINDS}
    outcomes = {}
    for name, path in json.loads((folder / "wanted.json").read_text()):
        kind = kinds[name]
        reference = np.fromfile(folder / f"{name}.raw", np.uint8).reshape(-1, *kind.shown_size, 3)
        outcome = compare(path, kind, reference, decoder="torchcodec")
        outcomes[name] = (outcome.wrong, outcome.compared, outcome.refused)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
