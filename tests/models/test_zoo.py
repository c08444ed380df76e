"""A new family is three files: its network, its YAML and its facts; contract tests and page need no word of it."""

from pathlib import Path

import pytest
from torch import nn

from benchmarks import model_zoo
from tests.models import test_every_model, test_limits, test_published, zoo

FILES = {
    "flatmodels/flat.py": """
from torch import nn
from videxp.core.limits import accepts

@accepts(min_frames=3, min_size=3)
class Flat(nn.Module):
    def __init__(self, *, num_classes=400, width=10):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, width, 3), nn.Linear(width, num_classes)

    def forward(self, video):
        return self.head(self.conv(video.transpose(1, 2)).square().mean(dim=(2, 3, 4)))
""",
    "conf/flat_small.yaml": "_target_: flatmodels.flat.Flat",
    "facts/flat.yaml": """
sources: {Flat2026: someone's list}
checkpoints: [{project: Flat2026, files: flat.pth}]
models:
  flat_small:
    published: {parameters: 5_220, gmacs: 0.000652, clip: [4, 22], source: Flat2026, accuracy: 1.5, views: 1x1}
    tiny: {width: 2}
    tiny_clip: [5, 8]
""",
}


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> zoo.Zoo:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = zoo.read_zoo(tmp_path / "facts", tmp_path / "conf")
    monkeypatch.setitem(zoo.MODELS, "flat_small", found.models["flat_small"])
    return found


def test_the_contract_tests_take_a_new_family(flat: zoo.Zoo):
    assert zoo.named("classifier", flat.models) == ["flat_small"]
    # 3 * 10 * 27 + 10 and 10 * 400 + 400; 810 of each of the 2 * 20 * 20 places, and 4,000
    assert test_published.check_published(flat.models["flat_small"]) == (5_220, (810 * 800 + 4_000) / 1e9)
    test_every_model.test_gradient_reaches_every_parameter_and_every_frame("flat_small")
    test_every_model.test_the_order_of_frames_matters_to_all_but_the_per_frame_networks("flat_small")
    test_limits.test_the_smallest_clip_declared_runs_and_one_below_does_not("flat_small")
    network = zoo.build_tiny("flat_small")
    assert isinstance(network.conv, nn.Conv3d) and network.conv.out_channels == 2


def test_what_is_wrong_with_its_facts_is_found(flat: zoo.Zoo):
    model = flat.models["flat_small"]
    model.published["parameters"] += 1
    with pytest.raises(AssertionError):
        test_published.check_published(model)


def test_the_page_has_its_rows(flat: zoo.Zoo):
    row = model_zoo.classifier(flat.models["flat_small"])
    assert (row["parameters"], row["top-1"], row["source"]) == ("5,220", "1.5", "Flat2026")
    assert model_zoo.shrunk(flat.models["flat_small"], "0.1")["arguments"] == "`width=2`"
    assert flat.checkpoints == [{"project": "Flat2026", "models": ["flat_small"], "files": "flat.pth"}]


def test_two_texts_of_one_source_are_refused(flat: zoo.Zoo, tmp_path: Path):
    (tmp_path / "facts/other.yaml").write_text("sources: {Flat2026: another list}\nmodels: {}")
    with pytest.raises(AssertionError, match=r"other\.yaml: Flat2026"):
        zoo.read_zoo(tmp_path / "facts", tmp_path / "conf")
