"""All networks of PyTorch that are surveyed, by name."""

from __future__ import annotations

from .detector_networks import DETECTORS
from .image_networks import IMAGES
from .published_networks import PUBLISHED
from .sequence_networks import SEQUENCES

NETWORKS = (
    PUBLISHED.architectures
    | IMAGES.architectures
    | DETECTORS.architectures
    | SEQUENCES.architectures
)
