"""Kernels in C for particular cores, and the table that chooses between them.

The portable row kernels of `relax_passes.operators` run everywhere.  For cores that can do better
this package holds generators of C: a `Generator` is asked with a `Request` (the signature of an
operation, its constants, the core's features) and answers with a `CKernel` or None.
"""

from .c_kernel import CKernel, Generator, Request
from .choose_kernel import Choice, preferred, requests_of, with_kernels, without_kernels
from .kernel_table import candidates, register_kernel, registered, unregister_kernel

__all__ = [
    "CKernel",
    "Choice",
    "Generator",
    "Request",
    "candidates",
    "preferred",
    "register_kernel",
    "registered",
    "requests_of",
    "unregister_kernel",
    "with_kernels",
    "without_kernels",
]
