"""The version of this package: that of the headers it was written for. pyproject.toml reads it here."""
__version__ = "0.1.0"
