"""The pretrained judge of MNIST digits."""

from grader.exercises.vae_mnist.classifier.judge import Judgement, judge

__all__ = ["Judgement", "judge"]
