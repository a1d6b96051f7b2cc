"""From uploaded blocks to the stores, each record exactly once."""
