"""The rows, in the order of the table; one module a subject."""
