"""OpenVINO without its telemetry.

`import openvino` writes a client id into the user's home and sends it, with an event, to an analytics service, unless
`CI=true` or a command of its own forbade it before.
"""

import sys
from typing import Any, cast


def import_openvino() -> Any:
    """The package `openvino`. Raises ModuleNotFoundError where it is not installed.

    It takes a stub in place of a telemetry package that cannot be imported; so does nncf. Where a program of the user's
    has imported either before, it is as the program left it.
    """
    modules: dict[str, Any] = cast(Any, sys.modules)  # typed for modules alone, though None forbids an import
    modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino
