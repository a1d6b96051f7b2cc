"""The language of filters: one line of text, or the field's Mongo-like objects, both made into the same tree. Pure.

    text --parser--> tree <--mongo-- object          tree --printer--> text
                      |
                      +--binding, table.masks--> which runs

docs/filters.md has the grammar.
"""
