"""Creates the package of a new plugin from a template."""
