"""One module for each command: `SUMMARY`, one line for --help, and `main(arguments) -> exit status`.

Modules import torch and Lightning inside functions, so that `videxp --help` answers at once.
"""

ORDER = [
    *(
        "train",
        "sweep",
        "resume",
        "reproduce",
        "evaluate",
        "explain",
        "predict",
        "stream",
        "serve",
        "export",
        "compress",
        "compare",
        "record",
        "verify",
    ),
    *("prepare", "check", "bench", "list", "completion"),
]
