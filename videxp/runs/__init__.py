"""The run folder on disk: what is in it, read and written without Lightning."""
