"""How training images are changed at random before each step."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs.quantities import Rate
from neurona.specs.spec import Spec

__all__ = ["Augmentation"]

Degrees = Annotated[float, Field(strict=True, ge=0.0, le=180.0)]
Pixels = Annotated[float, Field(strict=True, ge=0.0, le=1000.0)]
Part = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]


class Augmentation(Spec):
    """Random changes of the training images, drawn anew for each image at each step; validation sees none.

    What is drawn is uniform from minus to plus the value given, for each image; 0 is not done.

    rotation: degrees.
    scale: relative, each axis its own: 0.1 is a factor from 0.9 to 1.1.
    shear: degrees by which vertical lines lean.
    translation: pixels, each axis its own.
    elastic_alpha, elastic_sigma: pixels; every pixel moves by a random field, uniform in [-1, 1], smoothed by a
        Gaussian of standard deviation sigma and multiplied by alpha (Simard et al. 2003: 34 and 4 for 29 by 29).
    thickness: of strokes; at 1 a pixel takes the brightest, at -1 the darkest of its 3 by 3 neighbours, between them
        a mix.
    erasing: probability that a random rectangle, up to half of each side, becomes black (Zhong et al. 2020).
    mixup: alpha of the Beta distribution of the share in which the images of a step are mixed with others, their labels
        too (Zhang et al. 2018).
    classes: change only images with these labels; all unless given. Mixing is between all.
    warmup, cooldown: parts of the training over which the strength of all this rises from 0, and falls to 0 at the end.
    """

    rotation: Degrees = 0.0
    scale: Rate = 0.0
    shear: Annotated[float, Field(strict=True, ge=0.0, le=80.0)] = 0.0
    translation: Pixels = 0.0
    elastic_alpha: Pixels = 0.0
    elastic_sigma: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] = 4.0
    thickness: Part = 0.0
    erasing: Part = 0.0
    mixup: Annotated[float, Field(strict=True, ge=0.0, le=100.0)] = 0.0
    classes: Annotated[tuple[Annotated[int, Field(ge=0, strict=True)], ...], Field(min_length=1)] | None = None
    warmup: Part = 0.0
    cooldown: Part = 0.0

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.warmup + self.cooldown > 1:
            sentence = _("must be at most 1 together with the warm-up, {warmup}. It is {value!r}.")
            raise SpecError([Problem(("cooldown",), sentence.format(warmup=self.warmup, value=self.cooldown))])
        return self

    @property
    def moves(self) -> bool:
        """Whether pixels move: by an affine map, a random field, or both."""
        return any((self.rotation, self.scale, self.shear, self.translation, self.elastic_alpha))
