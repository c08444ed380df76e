"""`pip install videxp`: the wheel carries conf/ and experiments/, and a researcher's own are found beside them."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.shrink import tiny

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]

OWN_MODEL = """
from torch import Tensor, nn


class Tiny(nn.Module):
    def __init__(self, *, num_classes: int = 400, width: int = 4) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv3d(3, width, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Linear(width, num_classes)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(self.net(video.transpose(1, 2)))
"""
OWN_RECIPE = """# @package _global_
# A recipe of one's own
defaults:
  - classification/moving_digits
  - override /model: tiny
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("videxp-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds the wheel, and borrows the installed torch and its kind."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin/python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    # A path in a .pth file is taken without its own .pth files, so the checkout's editable install stays behind.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return environment / "bin"


def test_the_wheel_holds_every_config_and_recipe_and_the_compare_page_and_no_test(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assets = {str(path.relative_to(ROOT)) for path in (ROOT / "videxp").rglob("assets/**/*") if path.is_file()}
    assert {
        f"videxp/comparison/assets/{name}"
        for name in ("page.html", "page.js", "scales.js", "page.css", "uplot/LICENSE")
    } <= assets
    assert assets <= names
    for folder in ("conf", "experiments"):
        there = {f"videxp/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*.yaml")}
        assert there
        assert there <= names
    assert not [name for name in names if name.startswith(("tests/", "conf/"))]


def test_an_installed_videxp_runs_its_own_recipes_and_the_researchers(installed: Path, tmp_path: Path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "experiments/mine").mkdir(parents=True)
    (tmp_path / "mymodels.py").write_text(OWN_MODEL)
    (tmp_path / "conf/model/tiny.yaml").write_text("# Tiny: one convolution\n_target_: mymodels.Tiny\n")
    (tmp_path / "experiments/mine/tiny.yaml").write_text(OWN_RECIPE)
    environment = {**clean_environment(tmp_path), "PYTHONPATH": str(tmp_path)}

    def videxp(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed / "videxp", *arguments],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    where = subprocess.run(
        [installed / "python", "-c", "import videxp; print(videxp.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(installed.parent) in where.stdout
    assert "mine/tiny" in videxp("list", "recipes").stdout
    words = tiny("trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    done = videxp("train", "mine/tiny", *words, VIDEXP_ALLOW="mymodels")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tiny" in done.stdout
    assert (tmp_path / "run/checkpoints/best.ckpt").exists()
