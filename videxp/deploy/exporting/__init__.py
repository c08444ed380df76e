"""A run's model in a file that needs no videxp: written, compared with the run, and opened again."""
