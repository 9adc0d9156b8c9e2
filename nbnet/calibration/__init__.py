"""Calibration of predicted probabilities and intervals: reliability, coverage, temperature scaling."""

from nbnet.calibration.coverage import CoverageCurve, coverage_curve, interval_coverage
from nbnet.calibration.reliability import (
    ReliabilityCurve,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
)
from nbnet.calibration.scores import brier_score, log_loss
from nbnet.calibration.temperature import TemperatureScaling

__all__ = [
    "CoverageCurve", "ReliabilityCurve", "TemperatureScaling", "brier_score", "coverage_curve",
    "expected_calibration_error", "interval_coverage", "log_loss", "maximum_calibration_error", "reliability_curve",
]  # fmt: skip
