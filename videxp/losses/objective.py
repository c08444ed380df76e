"""What an adversarial game is about: one loss, and the weights and intervals of the penalties beside it."""

from typing import Annotated

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.losses.adversarial import AdversarialLoss


class AdversarialObjective:
    """Plain values, read by the task.

    loss: see `discriminator_loss`. generator_interval: batches for each step of the generator (Wasserstein: 5).
    r1_weight: gamma of Mescheder et al. 2018, whose term is gamma / 2 * R1; 0 is off.
    gradient_penalty_weight: lambda of WGAN-GP. path_length_weight: of the generator's (StyleGAN2: 2); 0 is off.
    An interval n evaluates a penalty in each n-th batch only, with n times the weight (StyleGAN2, section 3.1).
    category_weight: of recognizing what kind of clip was generated, where the networks have categories.
    """

    def __init__(
        self,
        *,
        loss: AdversarialLoss = "non_saturating",
        generator_interval: Annotated[int, Ge(1)] = 1,
        r1_weight: Annotated[float, Ge(0)] = 0.0,
        r1_interval: Annotated[int, Ge(1)] = 16,
        gradient_penalty_weight: Annotated[float, Ge(0)] = 0.0,
        gradient_penalty_interval: Annotated[int, Ge(1)] = 1,
        path_length_weight: Annotated[float, Ge(0)] = 0.0,
        path_length_interval: Annotated[int, Ge(1)] = 4,
        category_weight: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        if loss == "wasserstein" and not (gradient_penalty_weight or r1_weight):
            raise BadRequest(
                "loss=wasserstein with gradient_penalty_weight=0: set it to 10, or the critic is no Lipschitz function"
            )
        if path_length_weight and path_length_interval % generator_interval:
            raise BadRequest(
                f"path_length_interval={path_length_interval} is no multiple of generator_interval="
                f"{generator_interval}: the generator takes no step in those batches"
            )
        self.loss: AdversarialLoss = loss
        self.generator_interval = generator_interval
        self.r1_weight, self.r1_interval = r1_weight, r1_interval
        self.gradient_penalty_weight = gradient_penalty_weight
        self.gradient_penalty_interval = gradient_penalty_interval
        self.path_length_weight, self.path_length_interval = path_length_weight, path_length_interval
        self.category_weight = category_weight
