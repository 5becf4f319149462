"""``python -m dero_tvm`` is ``tvmc``."""

from .cli.main import main

main()
