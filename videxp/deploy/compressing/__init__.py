"""A trained run made smaller and faster."""
