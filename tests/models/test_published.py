"""Each YAML under conf/model/, instantiated on its own, is the published network: parameters to the last one, GMACs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.models.catalogue import ALWAYS, CATALOGUE, OPTIONAL, PUBLISHED, build_tiny, cases
from videxp.models.summary import count_parameters, gmacs

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in ROOT.joinpath("conf/model").rglob("*.yaml")}
DESIGN_NAMES = (
    "r3d_18 mc3_18 r2plus1d_18 s3d mvit_v1_b mvit_v2_s swin3d_t swin3d_s swin3d_b x3d_xs x3d_s x3d_m x3d_l "
    "slowfast_r50_4x16 slowfast_r50_8x8 tsn_r50 tsm_r50 uniformer_s c3d i3d_r50 convlstm videomae_b timesformer_b "
    "vivit_b"
)


def rows(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a Markdown page's tables by what stands in their first column: {head of the column: text}."""
    heads: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif not line.startswith("|--"):
            yield cells[0], dict(zip(heads, cells, strict=True))


ZOO = dict(rows((ROOT / "docs/model_zoo.md").read_text()))


def build_from_yaml(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return instantiate(OmegaConf.load(FILES[name]), _convert_="all")


def check_published(name: str) -> None:
    network = build_from_yaml(name)
    check_count(name, network)
    check_cost(name, network)


def check_count(name: str, network: torch.nn.Module) -> None:
    count = count_parameters(network)
    assert count == PUBLISHED["classifiers"][name]["parameters"]
    assert ZOO[name]["parameters"] == f"{count:,}"


def check_cost(name: str, network: torch.nn.Module) -> None:
    """Some sources also count poolings, norms or sums: 1.2 % more at most."""
    facts = PUBLISHED["classifiers"][name]
    frames, size = facts["clip"]
    measured = gmacs(network, num_frames=frames, size=size)
    assert measured == pytest.approx(facts["gmacs"], rel=0.012)
    assert (ZOO[name]["input"], ZOO[name]["GMACs"]) == (f"{frames}x{size}x{size}", f"{measured:.4g}")


def test_the_walk_finds_every_classifier():
    assert set(DESIGN_NAMES.split()) <= CATALOGUE.keys()
    assert CATALOGUE.keys() <= FILES.keys()
    assert CATALOGUE.keys() == PUBLISHED["classifiers"].keys()


def test_the_page_of_models_has_every_network_with_its_published_figures():
    for name, facts in PUBLISHED["classifiers"].items():
        ours, source = ZOO[name], facts["source"]
        assert ours["top-1"] == str(facts.get("accuracy", "-"))
        assert ours["source"].startswith(source) and source in PUBLISHED["sources"]
    for name, facts in PUBLISHED["restorers"].items():
        assert ZOO[name]["parameters"] == f"{facts['parameters']:,}"
    for name, facts in PUBLISHED["gans"].items():
        assert ZOO[name]["generator"] == f"{facts['generator']:,}"


def test_the_page_of_models_has_every_shrunk_network_as_it_is():
    for name in CATALOGUE:
        assert float(ZOO[f"nano `{name}"]["seconds of a step"]) < 1
    for name in ("s3d", "x3d_s", "slowfast_r50_8x8", "uniformer_s"):
        assert ZOO[f"nano `{name}"]["parameters"] == f"{count_parameters(build_tiny(name)):,}", "model_zoo.py --nano"


def test_the_page_of_models_links_every_recipe():
    for path in sorted((ROOT / "experiments").rglob("*.yaml")):
        recipe = path.relative_to(ROOT / "experiments").with_suffix("").as_posix()
        for model in re.findall(r"override /model: (\w+)", path.read_text()):
            if model in ZOO:
                link = f"[`{recipe}`](../experiments/{recipe}.yaml)"
                assert link in ZOO[model]["recipes"], "python benchmarks/model_zoo.py --time"


def test_what_a_source_rounds_is_the_count_that_is_checked():
    for facts in (*PUBLISHED["classifiers"].values(), *PUBLISHED["restorers"].values()):
        if "printed" in facts and "(" not in facts["printed"]:
            millions = float(facts["printed"].removesuffix(" M"))
            assert facts["parameters"] / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_yaml_says_in_its_first_line_what_it_is_and_repeats_nothing_that_data_decides(name: str):
    comment, *rest = FILES[name].read_text().splitlines()
    assert comment.startswith("# ") and "params" in comment and "GMACs" in comment and len(comment) <= 120
    assert OmegaConf.create("\n".join(rest)).keys().isdisjoint({"num_classes", "num_frames", "size"})


@pytest.mark.parametrize("name", cases(ALWAYS))
def test_parameters_are_the_published_ones_to_the_last_and_multiply_accumulates_to_a_percent(name: str):
    check_published(name)


@pytest.mark.slow  # importing transformers, timm
@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_the_optional_ones_are_the_published_ones_too(name: str):
    pytest.importorskip(OPTIONAL[name])
    check_published(name)
