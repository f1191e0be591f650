"""One recording as one HTML page that needs nothing else: pictures, sound, numbers.

Names: T frames, N samples, H harmonics.
"""

from .job import Pages, report_file
from .page import report_page

__all__ = ["Pages", "report_file", "report_page"]
