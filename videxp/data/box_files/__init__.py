"""Files of box annotations: one module for each format, with `read(path, ...)` and `write(videos, path, ...)`.

All give and take `AnnotatedVideo` (`form`): frames from 0, corners in pixels of a stated size. A module's docstring
says how its format counts frames, what its boxes are and which size they refer to.
"""
