"""The output formats: each module holds ``ARTEFACTS``, its rows in the table of artefacts.

The modules are imported wherever the table is read, by the archive as well, so they import
the libraries that they need only when a file is made.
"""
