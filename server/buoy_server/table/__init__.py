"""The runs of a project as columns in memory, so that filters, orders and groups need no look at any single run.

    SQL --loading--> table (a column for each key that was asked for) --masks, order, groups--> rows
     `---- runs changed since the table's revision, before each answer ----^

The database alone knows what is true: a table is a copy as of a revision, and each question first brings it up to that
of the database. So replicas need not know of each other.
"""
