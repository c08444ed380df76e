"""The course of a run: objects from its config, callbacks, loggers, processes, and its end."""
