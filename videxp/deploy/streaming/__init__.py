"""A trained task at work on video as it comes."""
