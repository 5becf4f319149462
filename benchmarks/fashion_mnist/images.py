"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017) as Debian's package of that name has it.

The files are IDX: two zero bytes, the type of an element (8: unsigned byte), the number of axes,
the length of each axis as a big-endian 32-bit number, then the elements.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

PACKAGE = "dataset-fashion-mnist"
FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = 10
SIDE = 28
_UNSIGNED_BYTE = 8


class NoImages(Exception):
    """The data set is not there, or not what it should be; one line says which file and why."""


@dataclass(frozen=True, eq=False)
class Images:
    """Grey values from 0 to 1, [N, 1, 28, 28] of float32, and the class of each image, [N]."""

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Images:
        """The first so many."""
        return Images(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class DataSet:
    """60,000 images for training and 10,000 for the test."""

    training: Images
    test: Images


def read_data_set(folder: Path = FOLDER) -> DataSet:
    """Both parts; NoImages if a file is missing or damaged."""
    return DataSet(read_images(folder, "train"), read_images(folder, "t10k"))


def read_images(folder: Path, part: str) -> Images:
    """The images of `train` or `t10k`; NoImages as above."""
    images, labels = (folder / f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    pixels, classes = read_idx(images, axes=3), read_idx(labels, axes=1)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise NoImages(f"{images}: the images are {pixels.shape[1:]}, not {SIDE} by {SIDE} pixels")
    if len(pixels) != len(classes):
        raise NoImages(f"{labels}: {len(classes)} labels for {len(pixels)} images")
    if classes.size and classes.max() >= CLASSES:
        raise NoImages(f"{labels}: class {classes.max()}, but there are {CLASSES}")
    return Images((pixels[:, None] / np.float32(255)).astype(np.float32), classes.astype(np.int64))


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The bytes of a compressed IDX file of so many axes; NoImages as above."""
    try:
        data = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise NoImages(
            f"{path}: no such file; scripts/apt-install {PACKAGE} puts it there"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise NoImages(f"{path}: cannot be read: {error}") from None
    begin = 4 + 4 * axes
    if len(data) < begin or data[:4] != bytes([0, 0, _UNSIGNED_BYTE, axes]):
        raise NoImages(f"{path}: is no IDX file of bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", data[4:begin])
    if len(data) - begin != prod(shape):
        raise NoImages(f"{path}: {len(data) - begin} bytes, but its header says {prod(shape)}")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)
