"""A run as one HTML page: the observer ``html-report`` and the command ``argosy report``.

Read `timeline.py` first, which collects the events, then `page.py`, which writes the page. The page needs no network.
"""
