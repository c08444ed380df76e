"""`python -m videxp.cli COMMAND ...`: how ranks and trials are started."""

import sys

from videxp.cli import main

sys.exit(main())
