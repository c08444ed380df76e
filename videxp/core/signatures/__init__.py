"""What a dotted name takes, read from source text: nothing is imported, so a config is checked in milliseconds and a
hostile one runs nothing.

    signature("torch.optim.AdamW").parameters["lr"]           -> annotation, default, required
    signature("videxp.models.classification.x3d.X3D").accepts  -> the literals of its @accepts(...) line

`modules` finds what a name means, `reading` what it takes.
"""

from videxp.core.signatures.modules import (
    UNREADABLE,
    Definition,
    Source,
    find_spec,
    last_name,
    literal,
    locate,
    lookup_expression,
    names_in,
)
from videxp.core.signatures.reading import Call, Parameter, Signature, signature

__all__ = [
    "UNREADABLE",
    "Call",
    "Definition",
    "Parameter",
    "Signature",
    "Source",
    "find_spec",
    "last_name",
    "literal",
    "locate",
    "lookup_expression",
    "names_in",
    "signature",
]
