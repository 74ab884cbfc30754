"""Questions for the sampling code, with toy networks."""

import numpy as np
import torch

from . import stand_in
from .asking import device_of, latent_dim
from .own_model import PastTheToy, around, first_answer


def ask_sampling(part, student, given):
    """The student's sampling function with toy networks: what reaches the decoder and what comes back."""
    size = latent_dim(student)

    def in_own_model():
        toy = _toy(part, student, size)
        answer = _drawn(part, student, given, around(part, student, toy, noise=True).eval(), toy)
        if not len(answer["codes"]):
            raise PastTheToy
        return answer

    def alone():
        toy = _toy(part, student, size)
        return _drawn(part, student, given, toy, toy)

    def with_own_model(model):
        for count in map(int, given["sample_counts"]):
            part.draw(student, model.eval(), count, given["sample_labels"][:count])

    return first_answer(part, student, (in_own_model, alone), (with_own_model,))


def _toy(part, student, size):
    toy = stand_in.fill(stand_in.ToyModel(size, part.conditional), 11).to(device_of(student)).eval()
    with torch.no_grad():
        toy.encoder.linear.bias += 3.0  # codes that come from images are far from the prior
    return toy


def _drawn(part, student, given, model, toy):
    """What is recorded of the toy while the student's function draws from the model, which holds its networks."""
    size = toy.latent_dim
    torch.manual_seed(int(given["draw_seed"]))
    codes, labels, decoded, images, shapes = [], [], [], [], []
    for count in given["sample_counts"]:
        count = int(count)
        toy.decoder.codes, toy.decoder.labels, toy.decoder.images = [], [], []
        asked = given["sample_labels"][:count]
        result = part.draw(student, model, count, asked).detach()
        shapes.append([*result.shape, 0, 0, 0, 0][:4])
        seen = [code for code in toy.decoder.codes if code.ndim == 2 and code.shape[1] == size]
        if sum(map(len, seen)) == count and result.numel() == count * 784:
            codes.append(torch.cat(seen))
            decoded.append(torch.cat(toy.decoder.images).reshape(count, -1))
            images.append(result.reshape(count, -1).float())
            labels.extend(toy.decoder.labels)
    empty = torch.zeros(0, size)
    return {
        "shapes": np.array(shapes, dtype=np.int64),
        "codes": torch.cat(codes) if codes else empty,
        "decoded": torch.cat(decoded) if decoded else torch.zeros(0, 784),
        "images": torch.cat(images) if images else torch.zeros(0, 784),
        "labels": torch.cat(labels) if labels else torch.zeros(0, dtype=torch.int64),
        "encoder_calls": toy.encoder.calls,
    }
