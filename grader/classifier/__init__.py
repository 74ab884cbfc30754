"""The pretrained judge of MNIST digits."""

from grader.classifier.judge import Judgement, judge

__all__ = ["Judgement", "judge"]
