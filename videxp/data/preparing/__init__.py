"""Reading a data set once: what is in its files, copies of samples, the cache."""
