"""Downloads one resource into staging. Read `download.py`, then `resume.py`. May import all below the engine."""
