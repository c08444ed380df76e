"""The tables, by the name of the paper that each is from: they disagree, so a figure is nothing without the name."""

from collections.abc import Mapping

from videxp.transforms.corruptions import noise, temporal
from videxp.transforms.corruptions.corruption import Protocol, protocol, row

SCHIAPPA2023 = protocol(
    "schiappa2023",
    row("gaussian_noise", "noise", noise.gaussian_noise, sigma=(0.08, 0.12, 0.18, 0.26, 0.38)),
    row("sampling", "time", temporal.sampling, every=(2, 4, 8, 16, 32)),
    source="Schiappa et al., Large-scale Robustness Analysis of Video Action Recognition Models, CVPR 2023",
)

PROTOCOLS: Mapping[str, Protocol] = {one.name: one for one in (SCHIAPPA2023,)}
