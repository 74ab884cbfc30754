"""Pure functions on arrays: numbers in the field's own terms, no thresholds, no files."""

from grader.metrics.agreement import Agreement, label_agreement
from grader.metrics.bootstrap import mean_standard_error, share_standard_error, standard_error
from grader.metrics.copies import CopyBank, CopySearch, copy_bank, copy_ratios, copy_search, copy_share
from grader.metrics.diversity import (
    Spread,
    class_deviations,
    class_entropy,
    class_shares,
    distinct_share,
    spread_against,
    within_class_spread,
)
from grader.metrics.frechet import Moments, frechet_distance, moments, normalised_frechet_distance
from grader.metrics.neighbours import Neighbourhood, nearest_distance, neighbourhood
from grader.metrics.reconstruction import explained_variance, explained_variance_error, mean_squared_error

__all__ = [
    "Agreement",
    "CopyBank",
    "CopySearch",
    "Moments",
    "Neighbourhood",
    "Spread",
    "class_deviations",
    "class_entropy",
    "class_shares",
    "copy_bank",
    "copy_ratios",
    "copy_search",
    "copy_share",
    "distinct_share",
    "explained_variance",
    "explained_variance_error",
    "frechet_distance",
    "label_agreement",
    "mean_squared_error",
    "mean_standard_error",
    "moments",
    "nearest_distance",
    "neighbourhood",
    "normalised_frechet_distance",
    "share_standard_error",
    "spread_against",
    "standard_error",
    "within_class_spread",
]
