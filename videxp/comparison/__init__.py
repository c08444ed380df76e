"""Runs beside one another: the table, the page, means over repetitions."""
