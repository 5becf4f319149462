"""Ways in which people write the parts of a shortcut in PyTorch: one function, many spellings."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Match = Callable[[torch.Tensor, int], torch.Tensor]  # to so many channels, padded and folded
Pool = Callable[..., torch.Tensor]  # sum of windows: kernel, stride, padding


# --- the number of channels ------------------------------------------------------------------


def padded(x: torch.Tensor, filters: int) -> torch.Tensor:
    """Zero channels up to the next multiple."""
    missing = -x.shape[1] % filters
    return functional.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x


def split_stack_sum(x, filters):
    return torch.sum(torch.stack(torch.split(padded(x, filters), filters, dim=1)), dim=0)


def stack_last(x, filters):
    x = padded(x, filters)
    return torch.stack(x.chunk(x.shape[1] // filters, 1), -1).sum(-1)


def stack_in_the_middle(x, filters):
    return torch.stack(padded(x, filters).split(filters, 1), dim=1).sum(1)


def stack_mean(x, filters):
    parts = padded(x, filters).split(filters, 1)
    return torch.stack(parts).mean(0) * len(parts)


def sum_of_list(x, filters):
    return sum(padded(x, filters).split(filters, 1))


def reduced(x, filters):
    x = padded(x, filters)
    return functools.reduce(torch.add, x.tensor_split(x.shape[1] // filters, 1))


def reduced_right(x, filters):
    parts = padded(x, filters).split(filters, 1)
    return functools.reduce(lambda total, part: operator.add(part, total), parts)


def in_place(x, filters):
    x = padded(x, filters)
    total = x[:, :filters].clone()
    for begin in range(filters, x.shape[1], filters):
        total += x[:, begin : begin + filters]
    return total


def narrowed(x, filters):
    x = padded(x, filters)
    return sum(x.narrow(1, begin, filters) for begin in range(0, x.shape[1], filters))


def grouped(x, filters):
    x = padded(x, filters)
    batch, channels, height, width = x.shape
    return x.view(batch, channels // filters, filters, height, width).sum(1)


def grouped_kept(x, filters):
    x = padded(x, filters)
    grid = x.reshape(x.shape[0], -1, filters, *x.shape[2:])
    return grid.sum(dim=1, keepdim=True).squeeze(1)


def unflattened(x, filters):
    return padded(x, filters).unflatten(1, (-1, filters)).sum(1)


def flat_pixels(x, filters):
    x = padded(x, filters)
    return (
        x.reshape(x.shape[0], -1, filters, x[0, 0].numel())
        .sum(1)
        .reshape(x.shape[0], filters, *x.shape[2:])
    )


def all_flat(x, filters):
    batch, _, height, width = x.shape
    flat = padded(x, filters).flatten(1).view(batch, -1, filters * height * width)
    return flat.sum(1).view(batch, filters, height, width)


def channels_last(x, filters):
    x = padded(x, filters).permute(0, 2, 3, 1)
    x = x.reshape(*x.shape[:3], -1, filters).sum(3)
    return x.permute(0, 3, 1, 2)


def channels_first_of_all(x, filters):
    x = padded(x, filters).transpose(0, 1)
    return x.reshape(-1, filters, *x.shape[1:]).sum(0).transpose(0, 1)


def einsum(x, filters):
    return torch.einsum("bkchw->bchw", padded(x, filters).unflatten(1, (-1, filters)))


def einsum_with_ones(x, filters):
    grid = padded(x, filters).unflatten(1, (-1, filters))
    return torch.einsum("bkchw,k->bchw", grid, torch.ones(grid.shape[1]))


def folding_matrix(x, filters):
    matrix = (torch.arange(x.shape[1])[None] % filters == torch.arange(filters)[:, None]).float()
    return torch.einsum("oc,bchw->bohw", matrix, x)


def folding_convolution(x, filters):
    matrix = (torch.arange(x.shape[1])[None] % filters == torch.arange(filters)[:, None]).float()
    return functional.conv2d(x, matrix[:, :, None, None])


def folding_matmul(x, filters):
    matrix = (torch.arange(x.shape[1])[None] % filters == torch.arange(filters)[:, None]).float()
    return (matrix @ x.flatten(2)).view(x.shape[0], filters, *x.shape[2:])


def rest_padded(x, filters):
    """Not the input is padded: its last chunk."""
    total, *others = x.split(filters, 1)
    for part in others:
        total = total + functional.pad(part, (0, 0, 0, 0, 0, filters - part.shape[1]))
    return functional.pad(total, (0, 0, 0, 0, 0, filters - total.shape[1]))


def zeros_appended(x, filters):
    missing = -x.shape[1] % filters
    batch, _, height, width = x.shape
    if missing:
        x = torch.cat([x, torch.zeros(batch, missing, height, width)], dim=1)
    return sum(x.chunk(x.shape[1] // filters, dim=1))


def new_zeros_appended(x, filters):
    missing = -x.shape[1] % filters
    if missing:
        x = torch.cat((x, x.new_zeros(x.shape[0], missing, *x.shape[2:])), 1)
    return torch.stack(x.split(filters, 1)).sum(0)


def slice_times_zero_appended(x, filters):
    missing = -x.shape[1] % filters
    while missing > 0:
        x = torch.cat((x, torch.zeros_like(x[:, : min(missing, x.shape[1])])), 1)
        missing = -x.shape[1] % filters
    return torch.stack(x.split(filters, 1)).sum(0)


def indexed(x, filters):
    x = padded(x, filters)
    rows = torch.arange(x.shape[1]).view(-1, filters)
    return sum(x[:, row] for row in rows)


def index_selected(x, filters):
    x = padded(x, filters)
    rows = torch.arange(x.shape[1]).view(-1, filters)
    return torch.stack([x.index_select(1, row) for row in rows]).sum(0)


def indexed_grid(x, filters):
    grid = padded(x, filters).unflatten(1, (-1, filters))
    total = grid[:, 0]
    for group in range(1, grid.shape[1]):
        total = total + grid[:, group]
    return total


def unbound_grid(x, filters):
    return sum(padded(x, filters).unflatten(1, (-1, filters)).unbind(1))


def concatenated_rows(x, filters):
    """The chunks along the batch axis."""
    return torch.cat(padded(x, filters).split(filters, 1), 0).sum(0, keepdim=True)


def average_over_channels(x, filters):
    """The groups' average by a pooling in three dimensions."""
    x = padded(x, filters)
    groups = x.shape[1] // filters
    grid = x.view(x.shape[0], groups, filters, -1).transpose(1, 2)
    return (grid.mean(2) * groups).view(x.shape[0], filters, *x.shape[2:])


def halves_apart(x, filters):
    """Each half of the filters by itself."""
    x, half = padded(x, filters), filters // 2
    begins = range(0, x.shape[1], filters)
    first = sum(x[:, begin : begin + half] for begin in begins)
    return torch.cat([first, sum(x[:, b + half : b + filters] for b in begins)], 1)


def one_by_one(x, filters):
    """Every filter by itself."""
    x = padded(x, filters)
    return torch.cat([x[:, f::filters].sum(1, keepdim=True) for f in range(filters)], 1)


def in_doubles(x, filters):
    return padded(x.double(), filters).unflatten(1, (-1, filters)).sum(1).float()


def one_image(x, filters):
    """Without a batch, of whose shape an exporter loses track."""
    parts = [part.squeeze(0) for part in padded(x, filters).split(filters, 1)]
    return torch.stack(parts).sum(0).unsqueeze(0)


MATCHES: dict[str, Match] = {
    function.__name__: function
    for function in (
        split_stack_sum, stack_last, stack_in_the_middle, stack_mean, sum_of_list, reduced,
        reduced_right, in_place, narrowed, grouped, grouped_kept, unflattened, flat_pixels,
        all_flat, channels_last, channels_first_of_all, einsum, einsum_with_ones, folding_matrix,
        folding_convolution, folding_matmul, rest_padded, zeros_appended, new_zeros_appended,
        slice_times_zero_appended, indexed, index_selected, indexed_grid, unbound_grid,
        concatenated_rows, average_over_channels, halves_apart, one_by_one, in_doubles, one_image,
    )
}  # fmt: skip


def grouped_convolution(x, filters):
    x = padded(x, filters)
    batch, channels, height, width = x.shape
    depth = channels // filters
    grid = x.view(batch, depth, filters, height, width).transpose(1, 2)
    return functional.conv2d(
        grid.reshape(x.shape), torch.ones(filters, depth, 1, 1), groups=filters
    )


def convolution_over_groups(x, filters):
    grid = padded(x, filters).unflatten(1, (-1, filters))
    return functional.conv3d(grid, torch.ones(1, grid.shape[1], 1, 1, 1)).squeeze(1)


def pooled_in_depth(x, filters):
    grid = padded(x, filters).unflatten(1, (-1, filters)).transpose(1, 2)
    depth = grid.shape[2]
    flat = grid.reshape(-1, 1, *grid.shape[2:])
    return (
        functional.avg_pool3d(flat, (depth, 1, 1)).view(x.shape[0], filters, *x.shape[2:]) * depth
    )


def pooled_along_channels(x, filters):
    rows = padded(x, filters).view(x.shape[0], -1, filters * x[0, 0].numel()).transpose(1, 2)
    averages = functional.adaptive_avg_pool1d(rows, 1)
    return averages.view(x.shape[0], filters, *x.shape[2:]) * rows.shape[2]


def taken_along(x, filters):
    x = padded(x, filters)
    shape = (x.shape[0], filters, *x.shape[2:])
    rows = torch.arange(x.shape[1]).view(-1, 1, filters, 1, 1)
    return sum(torch.take_along_dim(x, row.expand(shape), 1) for row in rows)


def linear(x, filters):
    matrix = (torch.arange(x.shape[1])[None] % filters == torch.arange(filters)[:, None]).float()
    return functional.linear(x.permute(0, 2, 3, 1), matrix).permute(0, 3, 1, 2)


def written_into_zeros(x, filters):
    batch, channels, height, width = x.shape
    grid = torch.zeros(batch, -(-channels // filters) * filters, height, width)
    grid[:, :channels] = x
    return grid.view(batch, -1, filters, height, width).sum(1)


def added_into_zeros(x, filters):
    batch, channels, height, width = x.shape
    total = torch.zeros(batch, filters, height, width)
    for begin in range(0, channels, filters):
        count = min(filters, channels - begin)
        total[:, :count] += x[:, begin : begin + count]
    return total


def added_by_index(x, filters):
    batch, channels, height, width = x.shape
    total = torch.zeros(batch, filters, height, width)
    return total.index_add(1, torch.arange(channels) % filters, x)


RARE_MATCHES: dict[str, Match] = {
    function.__name__: function
    for function in (
        grouped_convolution, convolution_over_groups, pooled_in_depth, pooled_along_channels,
        taken_along, linear, written_into_zeros, added_into_zeros, added_by_index,
    )
}  # fmt: skip


# --- the sum of a window ---------------------------------------------------------------------


def average_times_window(x, kernel, stride, padding):
    return functional.avg_pool2d(x, kernel, stride, padding) * (kernel * kernel)


def average_times_sides(x, kernel, stride, padding):
    return functional.avg_pool2d(x, kernel, stride, padding) * kernel * kernel


def halves_pooled_apart(x, kernel, stride, padding):
    parts = x.chunk(2, 1)
    return torch.cat([average_times_window(part, kernel, stride, padding) for part in parts], 1)


def window_times_average(x, kernel, stride, padding):
    return float(kernel**2) * nn.AvgPool2d(kernel, stride, padding)(x)


def average_by_inverse(x, kernel, stride, padding):
    return functional.avg_pool2d(x, kernel, stride, padding) / (1 / kernel**2)


def divisor(x, kernel, stride, padding):
    return functional.avg_pool2d(x, kernel, stride, padding, divisor_override=1)


def padded_first(x, kernel, stride, padding):
    return functional.avg_pool2d(functional.pad(x, [padding] * 4), kernel, stride) * kernel**2


def ones_convolution(x, kernel, stride, padding):
    weight = torch.ones(x.shape[1], 1, kernel, kernel)
    return functional.conv2d(x, weight, None, stride, padding, groups=x.shape[1])


def dense_convolution(x, kernel, stride, padding):
    weight = torch.eye(x.shape[1])[:, :, None, None].repeat(1, 1, kernel, kernel)
    return functional.conv2d(x, weight, None, stride, padding)


def power_pool(x, kernel, stride, padding):
    return functional.lp_pool2d(functional.pad(x, [padding] * 4), 1.0, kernel, stride)


def shifted_slices(x, kernel, stride, padding):
    x = functional.pad(x, [padding] * 4)
    height, width = ((n - kernel) // stride + 1 for n in x.shape[2:])
    total = 0
    for row in range(kernel):
        for column in range(kernel):
            rows = slice(row, row + (height - 1) * stride + 1, stride)
            columns = slice(column, column + (width - 1) * stride + 1, stride)
            total = total + x[:, :, rows, columns]
    return total


def separable(x, kernel, stride, padding):
    rows = functional.avg_pool2d(x, (kernel, 1), (stride, 1), (padding, 0)) * kernel
    return functional.avg_pool2d(rows, (1, kernel), (1, stride), (0, padding)) * kernel


POOLS: dict[str, Pool] = {
    function.__name__: function
    for function in (
        average_times_window, average_times_sides, halves_pooled_apart, window_times_average,
        average_by_inverse, divisor, padded_first,
        ones_convolution, dense_convolution, power_pool, shifted_slices, separable,
    )
}  # fmt: skip


def blocks_viewed(x, stride):
    batch, channels, height, width = x.shape
    blocks = x.view(batch, channels, height // stride, stride, width // stride, stride)
    return blocks.sum((3, 5))


def blocks_unshuffled(x, stride):
    parts = functional.pixel_unshuffle(x, stride)
    return parts.unflatten(1, (-1, stride * stride)).sum(2)


def blocks_adaptive(x, stride):
    size = [n // stride for n in x.shape[2:]]
    return functional.adaptive_avg_pool2d(x, size) * stride**2


def every_second(x, stride):
    """Not a sum: what a strided pointwise convolution reads itself."""
    return x[:, :, ::stride, ::stride]


def every_second_pooled(x, stride):
    return functional.avg_pool2d(x, 1, stride)


def every_second_maximum(x, stride):
    return functional.max_pool2d(x, 1, stride)


def every_second_nearest(x, stride):
    return functional.interpolate(x, scale_factor=1 / stride, mode="nearest")


def every_second_convolved(x, stride):
    weight = torch.ones(x.shape[1], 1, 1, 1)
    return functional.conv2d(x, weight, None, stride, groups=x.shape[1])


def blocks_interpolated(x, stride):
    smaller = functional.interpolate(x, scale_factor=1 / stride, mode="bilinear")
    return smaller * stride**2


BLOCKS = {
    function.__name__: function
    for function in (
        blocks_viewed, blocks_unshuffled, blocks_adaptive, every_second, every_second_pooled,
        every_second_maximum, every_second_nearest, every_second_convolved, blocks_interpolated,
    )
}  # fmt: skip
