"""What an inference reads from flash: the constants of every call."""

from __future__ import annotations

import io

from rich.console import Console

import dero_tvm
from dero_tvm.aot.kernels import makes_windows
from dero_tvm.driver.prepare import prepare
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.report.html.page import html_page
from dero_tvm.report.text_table import print_report
from dero_tvm.schedule.column_groups import in_column_windows
from dero_tvm.schedule.flash_reads import flash_reads
from tests.models.small_networks import image_to_image

# By channels of a 3 x 3 convolution: weights, and bias, multiplier and shift of each filter
STEM, BRANCH = 9 * 3 * 8 + 8 * 12, 9 * 8 * 8 + 8 * 12


def test_the_weights_of_a_convolution_are_read_for_each_row() -> None:
    network = prepare(image_to_image(16)).candidates().streamed_for_windows()
    assert network is not None
    reads = flash_reads(network)
    stem, branch, *_ = network.operations
    assert (reads[stem.result], reads[branch.result]) == (16 * STEM, 16 * BRANCH)

    windowed = in_column_windows(network, (Group(0, 1, width=8, rows=4),), makes_windows)
    # Four passes of four rows; the stem makes a row above and below as well, inside of the image.
    rows = 5 + 6 + 6 + 5
    assert flash_reads(windowed)[branch.result] == 2 * (rows * STEM + 16 * BRANCH)


def test_the_report_says_so() -> None:
    report = dero_tvm.compile(image_to_image(16), dero="stream").report
    weights = sum(operator.weights for operator in report.operators)
    assert report.flash_reads > 8 * weights
    console = Console(width=80, file=io.StringIO(), record=True)
    print_report(report, console, steps=True)
    text = console.export_text()
    assert f"{report.flash_reads:,}" in text
    assert "read: from flash, weights and tables once for each row or window." in text
    assert f"an inference reads {report.flash_reads:,} bytes" in html_page(report)
