"""The fields of a sample beside its clip."""
