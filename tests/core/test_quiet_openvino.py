"""OpenVINO sends nothing anywhere: shown of a new process, since it does so when it is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino", reason="openvino is not installed: whether it sends anything is not checked")

PROGRAM = """
import sys, time, urllib.request
from pathlib import Path

said = Path.home() / "said"

def urlopen(request, *rest, **more):  # in the process that the telemetry forks
    said.write_text(request.full_url)
    raise OSError

urllib.request.urlopen = urlopen
{load}
import openvino.tools.ovc
openvino.tools.ovc.telemetry.send_event("ov", "test", "test")
end = time.monotonic() + {seconds}
while time.monotonic() < end and not said.exists():
    time.sleep(0.02)
"""


def sent(home: Path, *, load: str, seconds: float) -> list[str]:
    """What lies in the home of a new user afterwards."""
    program = PROGRAM.format(load=load, seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", program], env={"HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted(path.name for path in home.rglob("*"))


@pytest.mark.slow
def test_a_plain_import_sends_and_ours_does_not(tmp_path: Path) -> None:
    for name in ("plain", "ours"):
        (tmp_path / name).mkdir()
    plain = sent(tmp_path / "plain", load="import openvino", seconds=60)
    assert "said" in plain and "openvino_ga_cid" in plain
    assert "google-analytics" in (tmp_path / "plain/said").read_text()

    ours = "from videxp.core.quiet_openvino import import_openvino\nimport_openvino()"
    assert sent(tmp_path / "ours", load=ours, seconds=0.5) == []
