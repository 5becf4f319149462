"""The architectures of `benchmarks/reorganize_families.py`, by family and name.

Networks of torchvision and timm have their published widths where those are small; the images are
small throughout, as structure is what is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import own_networks

IMAGE = (1, 3, 64, 64)


@dataclass(frozen=True)
class Network:
    """One architecture: `build` gives an ``nn.Module`` for inputs of `shape`."""

    name: str
    family: str
    build: Callable[[], Any]
    shape: tuple[int, ...] = IMAGE


def _torchvision(name: str, **options: Any) -> Any:
    import torchvision.models

    return torchvision.models.get_model(name, weights=None, **options)


def _timm(name: str, **options: Any) -> Any:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=10, **options)


def _of(source: Callable[..., Any], family: str, *names: str, **options: Any) -> list[Network]:
    return [Network(name, family, partial(source, name, **options)) for name in names]


def _own(family: str, name: str, shape: tuple[int, ...] = IMAGE) -> Network:
    return Network(name, family, getattr(own_networks, name), shape)


NETWORKS = [
    *_of(_torchvision, "residual", "resnet18", "resnet50"),
    *_of(_timm, "residual", "resnet26d", "darknet53", "gernet_s", "resnet10t"),
    *_of(_torchvision, "grouped", "resnext50_32x4d", "regnet_x_400mf"),
    *_of(_timm, "pre-activation", "resnetv2_50"),
    _own("pre-activation", "keras_resnet_v2"),
    *_of(_torchvision, "dense", "densenet121"),
    *_of(_torchvision, "inverted", "mobilenet_v2", "mnasnet0_5"),
    *_of(_timm, "inverted", "fbnetc_100", "spnasnet_100", "mobilenetv4_conv_small", "rexnet_100"),
    *_of(_torchvision, "gates", "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf"),
    *_of(_timm, "gates", "seresnet50", "skresnet18", "tinynet_e", "hardcorenas_a"),
    *_of(_timm, "gates", "ecaresnet26t", "gcresnet33ts", "resnest14d", "mixnet_s"),
    *_of(_torchvision, "shuffles", "shufflenet_v2_x0_5"),
    _own("shuffles", "shufflenet_v1"),
    *_of(_timm, "parts of channels", "res2net50_14w_8s", "cspresnet50", "ese_vovnet19b_slim"),
    *_of(_timm, "ghost modules", "ghostnet_050"),
    *_of(_timm, "aggregation", "dla46_c", "hrnet_w18_small", "selecsls42", "dpn48b"),
    *_of(_timm, "re-parametrized", "repvgg_a0", "mobileone_s0"),
    *_of(_timm, "separable", "xception41"),
    *_of(_timm, "depthwise first", "convnext_atto", "convnextv2_atto"),
    _own("depthwise first", "convnext_like"),
    _own("other norms", "group_norm_resnet"),
    *_of(_timm, "other norms", "resnetv2_50d_gn", "nf_resnet26"),
    *_of(_timm, "attention", "edgenext_xx_small", "poolformer_s12", "efficientvit_b0"),
    _own("long skips", "hourglass"),
    _own("long skips", "unet"),
    _own("long skips", "unet_bilinear"),
    _own("long skips", "linknet"),
    _own("one axis", "tcn", (1, 6, 128)),
    _own("one axis", "resnet_1d", (1, 2, 256)),
    _own("global residuals", "dncnn", (1, 1, 32, 32)),
    _own("global residuals", "vdsr", (1, 1, 32, 32)),
    _own("global residuals", "edsr", (1, 3, 32, 32)),
    _own("detectors", "yolo_c3"),
    _own("detectors", "yolo_c2f"),
]
