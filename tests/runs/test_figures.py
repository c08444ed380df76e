"""A test's figures in rows, for people."""

from videxp.core.contract import Contract, contract_of
from videxp.runs.figures import figure_lines, split_figures

RESTORATION = contract_of("videxp.tasks.Restoration")


def test_the_network_stands_above_its_baselines_and_other_degradations_by_themselves():
    assert RESTORATION is not None
    of = {"psnr": 30.0, "ssim": 0.9, "psnr_std": 0.5, "flicker": 2.0, "lpips": 0.1}
    metrics = {f"test/{name}": value for name, value in of.items()}
    for name in ("input", "median_5"):
        metrics |= {f"test/{metric}_{name}": value / 2 for metric, value in of.items()}
    metrics |= {"test/psnr_gain": 15.0, "test/loss": 0.01, "test/psnr_sigma_50": 25.0, "test/psnr_gain_sigma_50": 11.0}
    baselines, degradations, others = split_figures(metrics, RESTORATION)
    halves = {metric: value / 2 for metric, value in of.items()}
    assert baselines == {"network": of, "input": halves, "median_5": halves}
    assert degradations == {"sigma_50": {"psnr": 25.0, "psnr_gain": 11.0}}
    assert others == {"test/psnr_gain": 15.0, "test/loss": 0.01}
    assert figure_lines(baselines, heading="test") == [
        "test         psnr    ssim  psnr_std  flicker   lpips",
        "network   30.0000  0.9000    0.5000   2.0000  0.1000",
        "input     15.0000  0.4500    0.2500   1.0000  0.0500",
        "median_5  15.0000  0.4500    0.2500   1.0000  0.0500",
    ]
    assert figure_lines({}, heading="test") == []


def test_other_tasks_figures_stay_a_list():
    metrics = {"test/accuracy": 0.5, "test/accuracy_input": 0.4}
    assert split_figures(metrics, Contract(metrics={"accuracy": "max"})) == ({}, {}, metrics)
