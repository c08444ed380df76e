"""A film's shots in files: lists for programs and editors, a page to look at, the film cut up."""
