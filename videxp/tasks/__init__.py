"""Tasks: a network, its losses and its metrics in one LightningModule for each kind of problem."""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "ActionDetection": "videxp.tasks.action_detection",
        "Adversarial": "videxp.tasks.adversarial",
        "AdversarialInpainting": "videxp.tasks.inpainting",
        "AdversarialRestoration": "videxp.tasks.adversarial_restoration",
        "Classification": "videxp.tasks.classification",
        "Contract": "videxp.core.contract",
        "Detection": "videxp.tasks.detection",
        "Generation": "videxp.tasks.generation",
        "Inpainting": "videxp.tasks.inpainting",
        "MultiLabelClassification": "videxp.tasks.multi_label",
        "Restoration": "videxp.tasks.restoration",
        "Scenes": "videxp.tasks.scenes",
        "VideoTask": "videxp.tasks.base",
    },
)
