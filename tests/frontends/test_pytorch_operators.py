"""Operators of PyTorch programs, from `torch.export` to C, against PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import dero_tvm
from tests.compiled.compiled_c import run_in_c

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn, F = torch.nn, torch.nn.functional

IMAGE = (1, 4, 7, 6)
MOST = 12  # cases that are one program


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Any) -> Any:
        return self.function(*tensors)


class Each(nn.Module):
    """Several modules or functions of the same tensors, which are one program."""

    def __init__(self, *parts: Callable[..., Any]) -> None:
        super().__init__()
        self.parts = parts
        self.modules_among_them = nn.ModuleList(p for p in parts if isinstance(p, nn.Module))

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        return tuple(part(*tensors) for part in self.parts)


def resized(**options: Any) -> Function:
    return Function(lambda x: F.interpolate(x, **options))


ODD = torch.tensor([3, 1])


def put_apart(x: Any, y: Any) -> Any:
    """Indices of axes that are no neighbours."""
    changed = x.clone()
    changed[torch.tensor([0, 0]), :, torch.tensor([1, -1])] = y
    return changed


def beside_numbers(i: Any) -> Any:
    """Elementwise operators that compute in floating point, of integers."""
    computed = [i + 0.5, 0.5 - i, i * 0.5, i / 2, 2 / (i + 3), (i + 3) ** 0.5, i // 1.5, i % 1.5]
    computed += [i / (i + 3), torch.tanh(i), i.clamp(-0.5, 1.5), (i > 0) * 0.5, (i > 0) + 1]
    computed += [i < 0.5, i == 0.5, (i * 1.0).masked_fill(i > 1, 0.5), torch.where(i > 0, i, 0.5)]
    return torch.stack([c.float() for c in computed], -1)


CASES: dict[str, tuple[Any, Sequence[tuple[int, ...]]]] = {
    "conv": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), [IMAGE]),
    "conv groups": (nn.Conv2d(4, 8, 3, groups=2, bias=False), [IMAGE]),
    "conv same": (nn.Conv2d(4, 5, 3, padding="same"), [IMAGE]),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding=1), [IMAGE]),
    "conv transpose": (
        nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1),
        [IMAGE],
    ),
    "conv reflect": (nn.Conv2d(4, 5, 3, padding=1, padding_mode="reflect"), [IMAGE]),
    "conv1d": (nn.Conv1d(3, 5, 3, padding=1, stride=2), [(1, 3, 11)]),
    "parts without elements": (
        Function(lambda x: torch.cat([x[:, :0], *x.split([3, 0], 1), torch.relu(x[:, 9:])], 1)),
        [(1, 3, 11)],
    ),
    "linear": (nn.Linear(6, 3), [(2, 6)]),
    "batch norm": (nn.BatchNorm2d(4), [IMAGE]),
    "group norm": (nn.GroupNorm(2, 4), [IMAGE]),
    "layer norm": (nn.LayerNorm(6), [IMAGE]),
    "max pool": (nn.MaxPool2d(3, stride=2, padding=1), [IMAGE]),
    "max pool dilated": (nn.MaxPool2d(2, stride=1, dilation=2), [IMAGE]),
    "max pool of no stride": (
        Function(lambda x: F.max_pool2d(x, 2, padding=1, ceil_mode=True)),
        [IMAGE],
    ),
    "integers beside numbers": (
        Function(lambda x: x[0, 0, 0, :4, None] + beside_numbers(torch.arange(-1, 3))),
        [IMAGE],
    ),
    "max pool ceil": (nn.MaxPool2d(2, stride=2, ceil_mode=True), [IMAGE]),
    "average pool": (nn.AvgPool2d(3, stride=2, padding=1), [IMAGE]),
    "average pool exclusive": (nn.AvgPool2d(3, padding=1, count_include_pad=False), [IMAGE]),
    "average pool ceil": (nn.AvgPool2d(3, stride=2, ceil_mode=True), [(1, 4, 8, 6)]),
    "average pool ceil padded": (
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        [(1, 4, 8, 6)],
    ),
    "average pool divisor": (nn.AvgPool2d(2, divisor_override=3), [IMAGE]),
    "adaptive average": (nn.AdaptiveAvgPool2d(1), [IMAGE]),
    "adaptive average sizes": (nn.AdaptiveAvgPool2d((3, 2)), [IMAGE]),
    **{
        type(module).__name__: (module, [IMAGE])
        for module in (
            *(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(4), nn.ELU(0.7), nn.SELU()),
            *(nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.Tanh(), nn.Hardswish(), nn.Hardsigmoid()),
            *(nn.Softplus(), nn.Mish(), nn.Hardtanh(-0.5, 0.7), nn.Softmax(1), nn.LogSoftmax(1)),
            *(nn.PixelShuffle(2), nn.ChannelShuffle(2), nn.ZeroPad2d((1, 2, 0, 3)), nn.Flatten()),
            *(nn.ConstantPad2d((1, 0, 2, 1), 0.5), nn.ReflectionPad2d(2)),
        )
    },
    "gelu tanh": (nn.GELU("tanh"), [IMAGE]),
    "nearest": (resized(scale_factor=2), [IMAGE]),
    "nearest by halves": (resized(scale_factor=2.5), [IMAGE]),
    "nearest to a size": (resized(size=(5, 11)), [IMAGE]),
    "bilinear": (resized(scale_factor=2, mode="bilinear"), [IMAGE]),
    "bilinear to a size": (resized(size=(5, 11), mode="bilinear"), [IMAGE]),
    "nearest by 0.7": (resized(scale_factor=0.7), [IMAGE]),
    "bicubic by 1.5": (resized(scale_factor=1.5, mode="bicubic"), [IMAGE]),
    "bicubic by corners": (resized(size=(5, 1), mode="bicubic", align_corners=True), [IMAGE]),
    "bicubic to a size": (resized(size=(5, 11), mode="bicubic"), [IMAGE]),
    "bilinear by 1.5": (resized(scale_factor=1.5, mode="bilinear"), [IMAGE]),
    "bilinear by 0.37": (resized(scale_factor=(0.37, 2.3), mode="bilinear"), [IMAGE]),
    "bilinear corners": (
        resized(size=(5, 11), mode="bilinear", align_corners=True),
        [IMAGE],
    ),
    "add scaled": (Function(lambda x, y: torch.add(x, y, alpha=2)), [IMAGE, IMAGE]),
    "subtract scaled": (Function(lambda x, y: torch.sub(x, y, alpha=3)), [IMAGE, IMAGE]),
    "broadcast": (Function(lambda x, y: x * y + 1.5), [IMAGE, (4, 1, 1)]),
    "divide": (Function(lambda x, y: x / (y.abs() + 1)), [IMAGE, IMAGE]),
    "floor divide": (Function(lambda x: torch.div(x, 0.3, rounding_mode="floor")), [IMAGE]),
    "floor divide by an integer": (
        Function(lambda x: torch.div(x * 9, 2, rounding_mode="floor")),
        [IMAGE],
    ),
    "truncate divide": (Function(lambda x: torch.div(x, 0.3, rounding_mode="trunc")), [IMAGE]),
    "reverse subtract": (Function(lambda x: 1 - x), [IMAGE]),
    "power": (Function(lambda x: x**3), [IMAGE]),
    "clamp": (Function(lambda x: x.clamp(min=-0.3)), [IMAGE]),
    "concatenate": (Function(lambda x, y: torch.cat([x, y, x], 1)), [IMAGE, (1, 2, 7, 6)]),
    "chunk": (Function(lambda x: torch.cat(torch.chunk(x, 2, 1)[::-1], 1)), [IMAGE]),
    "split": (Function(lambda x: torch.split(x, [1, 3], 1)[1]), [IMAGE]),
    "slice": (Function(lambda x: x[:, 1:3, ::2, 1:]), [IMAGE]),
    "slice from the end": (Function(lambda x: x[:, :, -3:, :-1]), [IMAGE]),
    "select from the end": (Function(lambda x: x[:, :, -1, :].select(-1, -2)), [IMAGE]),
    "narrow from the end": (Function(lambda x: x.narrow(-1, 2, 3).narrow(1, -2, 2)), [IMAGE]),
    "indices from the end": (Function(lambda x: x[:, [-1, 0]][..., [[-2], [1]]]), [IMAGE]),
    "indices of two axes": (Function(lambda x: x[:, :, [[-2], [0]], [-1, 3]]), [IMAGE]),
    "gather last axis": (
        Function(lambda x: x.gather(-1, torch.tensor([2, 0]).expand(1, 4, 7, 2))),
        [IMAGE],
    ),
    "unfold": (Function(lambda x: x.unfold(-2, 3, 2).unfold(1, 2, 2) + 1), [IMAGE]),
    "index add": (
        Function(lambda x, y: torch.index_add(x, 1, torch.tensor([2, 0, 2]), y, alpha=2)),
        [IMAGE, (1, 3, 7, 6)],
    ),
    "index copy": (
        Function(lambda x, y: x.index_copy(2, torch.tensor([5, 0]), y).index_fill(1, ODD, 0.5)),
        [IMAGE, (1, 4, 2, 6)],
    ),
    "index put apart": (Function(put_apart), [IMAGE, (2, 4, 6)]),
    "index put computed": (
        Function(lambda x, y: x.index_put((torch.zeros(4).long(), y.argsort() - 1), x[0] * 2)),
        [IMAGE, (4,)],
    ),
    "scatter": (
        Function(lambda x, y: x.scatter(1, ODD[None, :, None, None], y)),
        [IMAGE, (1, 3, 2, 6)],
    ),
    "scatter add": (
        Function(lambda x, y: x.scatter_add(-1, (y > 0).long() * 3, y)),
        [(2, 5), (2, 3)],
    ),
    "scatter reduce": (
        Function(lambda x, y: x.scatter_reduce(1, ODD[None, [0, 0, 1]], y, "amax")),
        [(1, 4), (1, 3)],
    ),
    "unbind": (Function(lambda x: x.unbind(-1)[-1]), [IMAGE]),
    "mean": (Function(lambda x: x.mean((2, 3))), [IMAGE]),
    "mean kept": (Function(lambda x: x.mean(1, keepdim=True)), [IMAGE]),
    "sum": (Function(lambda x: x.sum((-1, 1))), [IMAGE]),
    "amin": (Function(lambda x: x.amin()), [IMAGE]),
    "nearest exact": (resized(scale_factor=2.5, mode="nearest-exact"), [IMAGE]),
    "amax": (Function(lambda x: x.amax((2, 3))), [IMAGE]),
    "variance": (Function(lambda x: x.var((2, 3))), [IMAGE]),
    "population variance": (Function(lambda x: x.var((2, 3), unbiased=False)), [IMAGE]),
    "norm": (Function(lambda x: F.normalize(x, dim=1)), [IMAGE]),
    "permute": (Function(lambda x: x.permute(0, 2, 3, 1)), [IMAGE]),
    "reshape": (Function(lambda x: x.reshape(1, 2, 14, 6).transpose(1, 2)), [IMAGE]),
    "matrix product": (Function(lambda x, y: x @ y), [(1, 3, 5), (5, 4)]),
    "attention": (
        Function(lambda q, k, v: F.scaled_dot_product_attention(q, k, v)),
        [(1, 2, 5, 4)] * 3,
    ),
    "where": (Function(lambda x, y: torch.where(x > y, x, y * 2)), [IMAGE, IMAGE]),
    "minimum": (Function(lambda x, y: torch.minimum(x, torch.maximum(y, -x))), [IMAGE, IMAGE]),
    "flip": (Function(lambda x: x.flip(3)), [IMAGE]),
    "roll": (Function(lambda x: x.roll(2, 3)), [IMAGE]),
    "repeat": (Function(lambda x: x.repeat(1, 2, 1, 2)), [IMAGE]),
    "dropout": (nn.Dropout(0.5), [IMAGE]),
    "CELU": (nn.CELU(0.6), [IMAGE]),
    "softplus beta": (nn.Softplus(2.0, 1.0), [IMAGE]),
    "softsign": (nn.Softsign(), [IMAGE]),
    "hardshrink": (nn.Hardshrink(0.4), [IMAGE]),
    "softshrink": (nn.Softshrink(0.4), [IMAGE]),
    "threshold": (nn.Threshold(0.1, -2.0), [IMAGE]),
    "glu": (nn.GLU(1), [IMAGE]),
    "instance norm": (nn.InstanceNorm2d(4, affine=True), [IMAGE]),
    "local response": (nn.LocalResponseNorm(3, 0.1), [IMAGE]),
    "rms norm": (nn.RMSNorm(6), [IMAGE]),
    "lp pool": (nn.LPPool2d(2, 2), [IMAGE]),
    "average pool 1d": (nn.AvgPool1d(3, 2, padding=1), [(1, 3, 11)]),
    "max pool 1d": (nn.MaxPool1d(3, 2, padding=1, ceil_mode=True), [(1, 3, 10)]),
    "conv 3d": (nn.Conv3d(2, 3, 2), [(1, 2, 4, 5, 4)]),
    "unshuffle": (nn.PixelUnshuffle(2), [(1, 2, 6, 4)]),
    "replication pad": (nn.ReplicationPad2d(2), [IMAGE]),
    "circular pad": (nn.CircularPad2d(1), [IMAGE]),
    "negative pad": (Function(lambda x: F.pad(x, (-1, 2))), [IMAGE]),
    "addmm": (
        Function(lambda a, x, y: torch.addmm(a, x, y, beta=2, alpha=3)),
        [(4,), (3, 5), (5, 4)],
    ),
    "add a number": (Function(lambda x: torch.add(x, 2.0, alpha=1.5)), [IMAGE]),
    "rsub": (Function(lambda x, y: torch.rsub(x, y, alpha=2)), [IMAGE, IMAGE]),
    "lerp": (Function(lambda x, y: torch.lerp(x, y, 0.3)), [IMAGE, IMAGE]),
    "addcmul": (Function(lambda x, y: torch.addcmul(x, y, x, value=0.5)), [IMAGE, IMAGE]),
    "std": (Function(lambda x: x.std(1)), [IMAGE]),
    "argmax": (Function(lambda x: x.argmax(1).float()), [IMAGE]),
    "remainder": (Function(lambda x: torch.remainder(x, 0.7)), [IMAGE]),
    "fmod": (Function(lambda x: torch.fmod(x, 0.7)), [IMAGE]),
    "round": (Function(lambda x: torch.round(x * 2)), [IMAGE]),
    "round decimals": (Function(lambda x: torch.round(x, decimals=1)), [IMAGE]),
    "logical": (Function(lambda x, y: ((x > 0) & (y > 0)).float()), [IMAGE, IMAGE]),
    "index select": (Function(lambda x: x[:, [2, 0, 3]]), [IMAGE]),
    "stack": (Function(lambda x, y: torch.stack([x, y], 2)), [IMAGE, IMAGE]),
    "squeeze": (Function(lambda x: x.unsqueeze(-1).squeeze(0)), [IMAGE]),
    "expand": (Function(lambda x: x.expand(1, 4, 7, 6)), [(1, 4, 1, 1)]),
    "tril": (Function(lambda x: x.tril(1)), [IMAGE]),
    "masked": (Function(lambda x: x.masked_fill(x > 0.5, 2.0)), [IMAGE]),
    "einsum": (Function(lambda x, y: torch.einsum("bchw,cd->bdhw", x, y)), [IMAGE, (4, 3)]),
    "clamp max": (Function(lambda x: x.clamp(max=0.3)), [IMAGE]),
    "log1p": (Function(lambda x: torch.log1p(x.abs())), [IMAGE]),
    "logsumexp": (Function(lambda x: x.logsumexp(1)), [IMAGE]),
    "nan to num": (Function(lambda x: torch.nan_to_num(x)), [IMAGE]),
    "avg pool mixed": (nn.AvgPool2d((3, 2), stride=(1, 2), padding=(1, 0)), [IMAGE]),
    "adaptive average odd": (nn.AdaptiveAvgPool2d((4, 5)), [IMAGE]),
    "batch matmul": (Function(lambda x, y: x @ y.transpose(1, 2)), [(2, 3, 5), (2, 4, 5)]),
    "conv transpose grouped": (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), [IMAGE]),
    "conv transpose dilated": (nn.ConvTranspose2d(4, 5, 3, dilation=2), [IMAGE]),
    "conv transpose far": (
        nn.ConvTranspose2d(4, 6, 2, dilation=(3, 2), groups=2, output_padding=(2, 1)),
        [IMAGE],
    ),
    "conv transpose norm": (
        nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6)),
        [IMAGE],
    ),
    "conv1d transpose": (
        nn.ConvTranspose1d(3, 5, 4, stride=3, padding=1, output_padding=2),
        [(1, 3, 11)],
    ),
}
SEVERAL: dict[str, tuple[Any, Sequence[tuple[int, ...]]]] = {
    "norms without weights": (
        Each(
            *(nn.GroupNorm(2, 4, affine=False), nn.LayerNorm(6, elementwise_affine=False)),
            *(nn.LayerNorm(6, bias=False), nn.BatchNorm2d(4, affine=False), nn.InstanceNorm2d(4)),
            *(nn.RMSNorm(6, elementwise_affine=False), nn.LocalResponseNorm(2, 0.3, 0.6, 1.5)),
        ),
        [IMAGE],
    ),
    "along an axis": (
        Each(
            *(lambda x: x.min(1)[0], lambda x: x.min(2, keepdim=True)[1].float()),
            *(lambda x: x.max(3)[0], lambda x: x.max(1)[1].float(), lambda x: x.argmin().float()),
            *(lambda x: x.prod(1), lambda x: x.prod(2, keepdim=True), lambda x: x.cumsum(1)),
            *(lambda x: x.cumprod(-1), lambda x: torch.std_mean(x, 1)[0]),
            *(lambda x: torch.var_mean(x, (2, 3))[1], lambda x: (x > 1).any(1).float()),
            lambda x: F.adaptive_max_pool2d(x[0], (3, 4)),
        ),
        [IMAGE],
    ),
    "numbers": (
        Each(
            *(torch.sum, torch.max, torch.var, torch.prod, lambda x: x / x.abs().max()),
            *(lambda x: torch.sigmoid(x.mean()) * 2 + 1, lambda x: x.sum().clamp(0, 1)),
            *(lambda x: torch.where(x.sum() > 0, x, -x), lambda x: x.mean().expand(3, 4) + 1),
            *(lambda x: torch.stack([x.mean(), x.amax()]), lambda x: (x > -9).all().float()),
        ),
        [IMAGE],
    ),
    "of single elements": (
        Each(
            *(torch.exp2, torch.sinh, torch.asinh, torch.tan, torch.atan, torch.expm1),
            lambda x: torch.logical_and(x > 0, x < 1).float(),
            lambda x: ((x > 1) | (x < 0)).float(),
            lambda x: torch.logical_xor(x > 0, x < 1).float(),
        ),
        [IMAGE],
    ),
    "truth values": (
        Each(
            *(lambda x, f=f: f(x > 0) for f in (torch.all, torch.any, torch.sum, torch.prod)),
            lambda x: (x > 0).all(1),
            lambda x: (x > 0).cumsum(2),
            lambda x: (x > 0) + (x < -1),
            lambda x: (x > 0) * (x < 1),
            lambda x: x.any(3),
            torch.logical_not,
        ),
        [IMAGE],
    ),
    "small integers": (
        Each(
            lambda x: (x * 9).to(torch.int8).sum(1),
            lambda x: (x * 5).to(torch.int8).prod(1),
            lambda x: (x * 9).to(torch.int8).cumsum(2),
            lambda x: (x * 5).to(torch.int32).cumsum(1),
            lambda x: (x * 5).to(torch.int32).clamp(min=1),
            lambda x: (x * 5).to(torch.int32).clamp(max=2) + (x > 0).sum(1).clamp(1, 3),
        ),
        [IMAGE],
    ),
    "of pairs": (
        Each(
            *(torch.fmax, torch.fmin, torch.hypot, torch.heaviside, torch.ldexp),
            *(lambda x, y: torch.clamp(x, min=y[:, :1]), lambda x, y: torch.clamp(x[:, :1], max=y)),
        ),
        [IMAGE, IMAGE],
    ),
    "products": (
        Each(
            lambda a, x, y: torch.addmv(a, x[0], y[0, :, 0], alpha=2),
            lambda a, x, y: torch.addbmm(a, x, y, beta=0.5),
        ),
        [(3,), (2, 3, 5), (2, 5, 3)],
    ),
    "along time": (
        Each(
            *(nn.AdaptiveAvgPool1d(3), nn.AdaptiveMaxPool1d(3), nn.LocalResponseNorm(3, 0.3)),
            *(nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True)),
        ),
        [(1, 4, 7)],
    ),
    "without a batch": (
        Each(
            *(lambda x: F.avg_pool2d(x, 3, 2, 1) * 9, lambda x: F.avg_pool1d(x[0], 2) * 2),
            lambda x: F.avg_pool3d(x[None], (1, 3, 3), (1, 2, 2), (0, 1, 1)) * 9,
            lambda x: F.adaptive_avg_pool2d(x, 3) * 2,
        ),
        [(4, 6, 6)],
    ),
    "antialiased": (
        Each(
            resized(size=(3, 9), mode="bilinear", antialias=True),
            resized(scale_factor=0.6, mode="bilinear", antialias=True),
            resized(size=(9, 3), mode="bicubic", antialias=True),
        ),
        [IMAGE],
    ),
    "sampled": (
        Each(lambda x, grid: F.grid_sample(x, grid.tanh(), align_corners=False)),
        [IMAGE, (1, 3, 5, 2)],
    ),
}


def exported(module: Any, shapes: Sequence[tuple[int, ...]]) -> tuple[Any, list[Any]]:
    """The program, and random operands for it."""
    torch.manual_seed(0)
    module.eval()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    operands = [torch.randn(shape) for shape in shapes]
    return torch.export.export(module, tuple(operands)), operands


def together() -> Iterator[tuple[str, ...]]:
    """The cases with the same operands, a few to a program."""
    by_shapes: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for name, (_, shapes) in CASES.items():
        by_shapes.setdefault(tuple(shapes), []).append(name)
    for names in by_shapes.values():
        for first in range(0, len(names), MOST):
            yield tuple(names[first : first + MOST])


@pytest.mark.parametrize("names", [*together()], ids=", ".join)
def test_equals_pytorch(names: tuple[str, ...]) -> None:
    _, shapes = CASES[names[0]]
    check_parts(Each(*(CASES[name][0] for name in names)), shapes, names)


@pytest.mark.parametrize("name", SEVERAL)
def test_all_equal_pytorch(name: str) -> None:
    module, shapes = SEVERAL[name]
    check_parts(module, shapes, range(len(module.parts)))


def check_parts(module: Each, shapes: Sequence[tuple[int, ...]], names: Sequence[object]) -> None:
    program, operands = exported(module, shapes)
    results = run_in_c(dero_tvm.load(program), [x.numpy() for x in operands])
    for name, actual, wanted in zip(names, results, module(*operands), strict=True):
        expected = wanted.detach().numpy()
        assert actual.shape == expected.shape, name
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5, err_msg=str(name))


@pytest.mark.parametrize(
    "resize",
    [
        resized(scale_factor=2, mode="bicubic"),
        resized(size=(40, 30), mode="bilinear", antialias=True),
    ],
)
def test_resized_row_by_row(resize: Callable[..., Any]) -> None:
    """With a convolution before and behind, less than the resized image is in memory."""
    layers = nn.Sequential(nn.Conv2d(3, 8, 1), resize, nn.Conv2d(8, 2, 1))
    program, (image,) = exported(layers, [(1, 3, 24, 24)])
    model = dero_tvm.compile(program, dero="stream")
    resized_bytes = 8 * 4 * resize(image).shape[-2:].numel()
    assert model.report.arena_bytes < resized_bytes, model.report.arena_bytes
