"""What tests of exporting share."""

import logging

# Of one graph torch tells ten thousand lines there; pytest would keep them, which takes a fourth of an export's time.
logging.getLogger("torch.__trace").propagate = False
