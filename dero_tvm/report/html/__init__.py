"""The report as one HTML file that needs nothing else: no network, no build step."""

from .page import html_page, notebook_frame

__all__ = ["html_page", "notebook_frame"]
