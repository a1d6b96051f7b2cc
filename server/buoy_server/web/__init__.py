"""The HTTP side: routes parse, call and render."""
