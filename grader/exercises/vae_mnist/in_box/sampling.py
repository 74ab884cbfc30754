"""Questions for the sampling code, with a toy model."""

import numpy as np
import torch

from . import stand_in
from .asking import device_of, latent_dim


def ask_sampling(part, student, given):
    """The student's sampling function with a toy model: what reaches the decoder and what comes back."""
    size = latent_dim(student)
    model = stand_in.fill(stand_in.ToyModel(size, part.conditional), 11).to(device_of(student)).eval()
    with torch.no_grad():
        model.encoder.linear.bias += 3.0  # codes that come from images are far from the prior
    torch.manual_seed(int(given["draw_seed"]))
    codes, labels, decoded, images, shapes = [], [], [], [], []
    for count in given["sample_counts"]:
        count = int(count)
        model.decoder.codes, model.decoder.labels, model.decoder.images = [], [], []
        asked = given["sample_labels"][:count]
        result = part.draw(student, model, count, asked).detach()
        shapes.append([*result.shape, 0, 0, 0, 0][:4])
        seen = [code for code in model.decoder.codes if code.ndim == 2 and code.shape[1] == size]
        if sum(map(len, seen)) == count and result.numel() == count * 784:
            codes.append(torch.cat(seen))
            decoded.append(torch.cat(model.decoder.images).reshape(count, -1))
            images.append(result.reshape(count, -1).float())
            labels.extend(model.decoder.labels)
    empty = torch.zeros(0, size)
    return {
        "shapes": np.array(shapes, dtype=np.int64),
        "codes": torch.cat(codes) if codes else empty,
        "decoded": torch.cat(decoded) if decoded else torch.zeros(0, 784),
        "images": torch.cat(images) if images else torch.zeros(0, 784),
        "labels": torch.cat(labels) if labels else torch.zeros(0, dtype=torch.int64),
        "encoder_calls": model.encoder.calls,
    }
