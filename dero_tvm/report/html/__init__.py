"""The report as one HTML file that needs nothing else: no network, no build step."""

from .page import comparison_page, html_page, notebook_frame

__all__ = ["comparison_page", "html_page", "notebook_frame"]
