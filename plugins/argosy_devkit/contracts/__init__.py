"""The contract of each kind of plugin as a test suite: subclass one, name your plugin, run pytest.

The suites need pytest: ``pip install 'argosy[devkit]'``.
"""
