"""Maps the top-level folder `targets/` into the package; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["dero_tvm", "dero_tvm.*", "relax_passes", "relax_passes.*"]),
        "relay_passes",
        "dero_tvm.targets",
    ],
    package_dir={"dero_tvm.targets": "targets"},
)
