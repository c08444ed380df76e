"""Each YAML under conf/model/, instantiated on its own, is the published network: parameters to the last one, GMACs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.models.zoo import (
    ALWAYS,
    CLASSIFIERS,
    DETECTORS,
    FILES,
    GANS,
    MODELS,
    OPTIONAL,
    RESTORERS,
    SCENES,
    ZOO,
    Model,
    build_tiny,
    cases,
)
from videxp.models.summary import count_parameters, gmacs

ROOT = Path(__file__).parents[2]
SOURCE_KEYS = ("source", "gmacs_from", "accuracy_from")
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


PAGE = dict(rows((ROOT / "docs/model_zoo.md").read_text()))


def check_published(model: Model) -> tuple[int, float]:
    """Its parameters and GMACs. Some sources also count poolings, norms or sums: 1.2 % more at most."""
    with torch.device("meta"):
        network = instantiate(model.config, _convert_="all")
    frames, size = model.published["clip"]
    count, measured = count_parameters(network), gmacs(network, num_frames=frames, size=size)
    assert count == model.published["parameters"]
    assert measured == pytest.approx(model.published["gmacs"], rel=0.012)
    return count, measured


def check_on_page(name: str) -> None:
    count, measured = check_published(MODELS[name])
    frames, size = MODELS[name].published["clip"]
    assert (PAGE[name]["parameters"], PAGE[name]["GMACs"]) == (f"{count:,}", f"{measured:.4g}")
    assert PAGE[name]["input"] == f"{frames}x{size}x{size}"


def test_each_yaml_has_its_facts():
    assert set(DESIGN_NAMES.split()) <= set(CLASSIFIERS)
    assert MODELS.keys() == FILES.keys()


def test_the_page_of_models_has_every_network_with_its_published_figures():
    for name in CLASSIFIERS:
        assert PAGE[name]["top-1"] == str(MODELS[name].published.get("accuracy", "-"))
        assert PAGE[name]["source"].startswith(MODELS[name].published["source"])
    for name in (*RESTORERS, *SCENES, *DETECTORS):
        assert PAGE[name]["parameters"] == f"{MODELS[name].published['parameters']:,}"
    for name in GANS:
        assert PAGE[name]["generator"] == f"{MODELS[name].published['generator']:,}"


def test_every_source_is_explained():
    named = {m.published[key] for m in MODELS.values() for key in m.published if key in SOURCE_KEYS}
    assert named == {*ZOO.sources, "paper", "hand", "own"}


def test_the_page_of_models_has_every_shrunk_network_as_it_is():
    for name in CLASSIFIERS:
        assert float(PAGE[f"nano `{name}"]["seconds of a step"]) < 1
    for name in ("s3d", "x3d_s", "slowfast_r50_8x8", "uniformer_s"):
        assert PAGE[f"nano `{name}"]["parameters"] == f"{count_parameters(build_tiny(name)):,}", "make zoo"


def test_the_page_of_models_links_every_recipe():
    for path in sorted((ROOT / "experiments").rglob("*.yaml")):
        recipe = path.relative_to(ROOT / "experiments").with_suffix("").as_posix()
        for model in re.findall(r"override /model: (\w+)", path.read_text()):
            if model in PAGE:
                link = f"[`{recipe}`](../experiments/{recipe}.yaml)"
                assert link in PAGE[model]["recipes"], "python -m benchmarks.model_zoo --time"


def test_what_a_source_rounds_is_the_count_that_is_checked():
    for facts in (model.published for model in MODELS.values()):
        if "printed" in facts and "(" not in facts["printed"]:
            millions = float(facts["printed"].removesuffix(" M"))
            assert facts["parameters"] / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_yaml_says_in_its_first_line_what_it_is_and_repeats_nothing_that_data_decides(name: str):
    comment, *rest = FILES[name].read_text().splitlines()
    assert comment.startswith("# ") and "params" in comment and "GMACs" in comment and len(comment) <= 120
    assert OmegaConf.create("\n".join(rest)).keys().isdisjoint({"num_classes", "num_frames", "size"})


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(ALWAYS))
def test_parameters_are_the_published_ones_to_the_last_and_multiply_accumulates_to_a_percent(name: str):
    check_on_page(name)


@pytest.mark.slow  # importing transformers, timm
@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_the_optional_ones_are_the_published_ones_too(name: str):
    pytest.importorskip(OPTIONAL[name])
    check_on_page(name)
