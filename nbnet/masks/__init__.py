"""Dropout masks outside the tape: recomputed from the seed, recorded in compiled training, saved and loaded."""

from nbnet.masks.file import load_masks, save_masks
from nbnet.train.mask_recording import RecordedMasks, StepMasks
from nbnet.train.step_masks import step_masks

__all__ = ["RecordedMasks", "StepMasks", "load_masks", "save_masks", "step_masks"]
