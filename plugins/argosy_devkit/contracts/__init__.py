"""What every plugin of a kind must keep to, as test suites: subclass one, name your plugin, run pytest.

They need pytest: ``pip install 'argosy[test]'``.
"""
