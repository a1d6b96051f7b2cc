"""Comparisons with peers and with floors, measured side by side in one run: quote the ratios."""
