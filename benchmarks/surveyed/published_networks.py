"""Networks of torchvision and timm, those whose weights a compilation of minutes can carry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .architecture import Family

PUBLISHED = Family()

_CLASSIFIERS = (
    *("squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small"),
    *("mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mnasnet0_5", "mnasnet1_0"),
    *("resnet18", "resnet34", "resnet50", "resnext50_32x4d", "densenet121", "googlenet"),
    *("efficientnet_b0", "regnet_x_400mf", "regnet_y_400mf"),
)
_SEGMENTERS = ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large")
_MOBILE = (
    *("mobilenetv1_100", "mobilenetv2_035", "mobilenetv3_small_050", "mobilenetv4_conv_small"),
    *("mobilenetv4_hybrid_medium", "mobilenet_edgetpu_v2_xs", "efficientnet_lite0", "tinynet_e"),
    *("lcnet_050", "mixnet_s", "fbnetc_100", "fbnetv3_b", "spnasnet_100", "semnasnet_100"),
    *("hardcorenas_a", "ghostnet_100", "ghostnetv2_100", "rexnet_100", "repghostnet_050"),
    *("mobileone_s0", "repvgg_a0", "repvit_m0_9", "fastvit_t8", "starnet_s050"),
)
_OTHER = (
    *("resnet10t", "resnet18d", "legacy_seresnet18", "skresnet18", "res2net50_26w_4s"),
    *("dla46_c", "dla46x_c", "hrnet_w18_small", "ese_vovnet19b_dw", "gernet_s", "hgnetv2_b0"),
)
_MODERN = (
    *(
        "convnext_atto",
        "convnextv2_atto",
        "inception_next_atto",
        "poolformer_s12",
        "edgenext_xx_small",
    ),
    *("mobilevit_xxs", "mobilevitv2_050", "efficientvit_b0", "efficientvit_m0", "levit_128s"),
    *("efficientformerv2_s0", "mambaout_femto"),
)
_SIZES = {"levit_128s": 224, "efficientformerv2_s0": 224, "efficientvit_m0": 224}


def _of_torchvision(name: str) -> Any:
    from torchvision import models

    options = {"weights": None}
    if name in _SEGMENTERS:
        return _Maps(models.get_model(name, weights=None, weights_backbone=None))
    if name == "googlenet":
        options |= {"aux_logits": False, "init_weights": False}
    return models.get_model(name, **options)


def _of_timm(name: str) -> Any:
    import timm

    return timm.create_model(name, pretrained=False, exportable=True)


def _Maps(model: Any) -> Any:
    """A segmenter whose result is a dictionary, as one that gives its maps."""
    from torch import nn

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.model(x)["out"]

    return Maps()


def _add(names: tuple[str, ...], family: str, build: Callable[[str], Any], source: str) -> None:
    for name in names:
        size = _SIZES.get(name, 64)
        PUBLISHED.add(f"{source}.{name}", family, partial(build, name), (1, 3, size, size))


_add(_CLASSIFIERS, "classifier", _of_torchvision, "torchvision")
_add(_SEGMENTERS, "segmenter", _of_torchvision, "torchvision")
_add(_MOBILE, "mobile classifier", _of_timm, "timm")
_add(_OTHER, "classifier", _of_timm, "timm")
_add(_MODERN, "attention, ConvNeXt", _of_timm, "timm")
