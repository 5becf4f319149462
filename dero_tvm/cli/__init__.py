"""The command line: ``tvmc compile``, ``run``, ``report`` and ``boards``."""
