"""The version of the distribution, readable without importlib.metadata (which `import buoy` cannot afford)."""

__version__ = "0.1.0"
