"""DDP whose evaluation needs no padding."""

from typing import Any

from pytorch_lightning.strategies import DDPStrategy


class UnpaddedDDPStrategy(DDPStrategy):
    """Validates and tests through the bare module.

    Through the DDP wrapper every evaluation forward would broadcast BatchNorm's buffers, so ranks with unequal numbers
    of batches would wait for each other for ever; Lightning avoids that by padding with duplicates, which are then
    counted. The task shares the buffers once before it evaluates.
    """

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.test_step_context():
            return self.lightning_module.test_step(*args, **kwargs)
