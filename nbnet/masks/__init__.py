"""Dropout masks outside the tape: recomputed from the seed, recorded in compiled training, saved and loaded."""

from nbnet.masks.file import load_masks, save_masks
from nbnet.masks.recompute import step_masks
from nbnet.masks.recording import RecordedMasks, StepMasks

__all__ = ["RecordedMasks", "StepMasks", "load_masks", "save_masks", "step_masks"]
