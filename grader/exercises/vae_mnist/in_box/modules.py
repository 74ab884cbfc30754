"""Questions for freshly built encoders and decoders."""

import numpy as np
import torch

from .asking import NoAnswer, latent_dim, one, pair, tensor

INSTANCES = 3  # fresh modules asked, so that one unlucky initialization decides nothing


def perturbed(module, seed):
    """The module with every parameter moved at random, so that a bias or an initialization decides nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 0.5 * parameter.std(correction=0).item() + 0.05
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter) * scale)
    return module


def fresh_encoder(part, student, seed, size, x, y):
    """A fresh encoder, after one call that lets lazy layers take their shape; in eval mode."""
    torch.manual_seed(seed)
    module = part.build(student, part.encoder, size)
    with torch.no_grad():
        module(tensor(x[:2], student), *part.labels(y[:2], student))
    return module.eval()


def fresh_decoder(part, student, seed, size, z, y):
    """A fresh decoder, likewise."""
    torch.manual_seed(seed)
    module = part.build(student, part.decoder, size)
    with torch.no_grad():
        module(tensor(z[:2, :size], student), *part.labels(y[:2], student))
    return module.eval()


def ask_encoder(part, student, given):
    """Fresh encoders on digits, on moved parameters, one by one, twice, and along sums of images."""
    x, y, size = given["x"], given["y"], latent_dim(student)
    answer = {"latent_dim": size}

    def call(module, images, labels):
        with torch.no_grad():
            return pair(module(tensor(images, student), *part.labels(labels, student)), part.encoder)

    outputs, moved = [], []
    for k in range(INSTANCES):
        module = fresh_encoder(part, student, 100 + k, size, x, y)
        outputs.append(call(module, x, y))
        if k == 0:
            answer["mu_again"], answer["logvar_again"] = call(module, x, y)
            answer["mu_single"], answer["logvar_single"] = call(module, x[:1], y[:1])
            lines, same = given["line_images"], np.repeat(y[:1], len(given["line_images"]))
            answer["line_mu"], answer["line_logvar"] = call(module, lines, same)
            if part.conditional:
                every = np.arange(10)
                answer["label_mu"], answer["label_logvar"] = call(module, np.repeat(x[:1], 10, 0), every)
        moved.append(call(perturbed(module, 200 + k), x, y))
    for key, several in (("", outputs), ("moved_", moved)):
        if len({(m.shape, v.shape) for m, v in several}) > 1:
            raise NoAnswer(f"{part.encoder} gave different shapes for the same images")
        answer[key + "mu"] = torch.stack([m for m, _ in several])
        answer[key + "logvar"] = torch.stack([v for _, v in several])
    torch.manual_seed(100)
    module = part.build(student, part.encoder, size).train()
    with torch.no_grad():
        answer["train_mu"], answer["train_logvar"] = pair(
            module(tensor(x, student), *part.labels(y, student)), part.encoder
        )
    return answer


def ask_decoder(part, student, given):
    """Fresh decoders at codes, far codes, each latent moved by itself, one by one, twice, and along sums."""
    z, y, size = given["z"], given["y"], latent_dim(student)
    answer = {"latent_dim": size}

    def call(module, codes, labels):
        with torch.no_grad():
            codes = tensor(np.ascontiguousarray(codes[:, :size]), student)
            return one(module(codes, *part.labels(labels, student)), part.decoder)

    images, far, moves = [], [], []
    for k in range(INSTANCES):
        module = fresh_decoder(part, student, 300 + k, size, z, y)
        images.append(call(module, z, y))
        far.append(call(module, 10 * z, y))
        if k < 2:
            steps = np.repeat(z[:1, :size], size + 1, 0)
            steps[np.arange(1, size + 1), np.arange(size)] += 2.0
            moves.append(call(module, steps, np.repeat(y[:1], size + 1)).reshape(size + 1, -1))
        if k == 0:
            answer["again"] = call(module, z, y)
            answer["single"] = call(module, z[:1], y[:1])
            answer["line"] = call(module, given["line_codes"], np.repeat(y[:1], len(given["line_codes"])))
            if part.conditional:
                answer["by_label"] = call(module, np.repeat(z[:1], 10, 0), np.arange(10))
    if len({tuple(image.shape) for image in images + far}) > 1:
        raise NoAnswer(f"{part.decoder} gave different shapes for the same codes")
    torch.manual_seed(300)
    module = part.build(student, part.decoder, size).train()
    with torch.no_grad():
        answer["train"] = one(
            module(tensor(np.ascontiguousarray(z[:, :size]), student), *part.labels(y, student)), part.decoder
        )
    return {**answer, "x_hat": torch.stack(images), "far": torch.stack(far), "moves": torch.stack(moves)}


def ask_other_sizes(part, student, given):
    """Encoder and decoder built for a latent size that is not the notebook's."""
    size = 5 if latent_dim(student) != 5 else 6
    encoder = fresh_encoder(part, student, 400, size, given["x"], given["y"])
    decoder = fresh_decoder(part, student, 400, size, given["z"], given["y"])
    y = part.labels(given["y"], student)
    with torch.no_grad():
        mu, logvar = pair(encoder(tensor(given["x"], student), *y), part.encoder)
        codes = tensor(np.ascontiguousarray(given["z"][:, :size]), student)
        x_hat = one(decoder(codes, *y), part.decoder)
    return {"size": size, "mu": mu, "logvar": logvar, "x_hat": x_hat}


def leaves(outputs):
    """The parameters that the outputs' gradient reaches, by walking the graph back."""
    found, seen = {}, set()
    waiting = [output.grad_fn for output in outputs if output.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found[id(variable)] = variable
        waiting.extend(child for child, _ in node.next_functions if child is not None)
    return found


def _numbers(parameters):
    return sum(p.numel() for p in parameters)


def ask_parameters(part, student, given):
    """How many numbers are registered as parameters, reached by the gradient, and reached without being registered."""
    answer = {}
    size, y = latent_dim(student), part.labels(given["y"], student)
    codes = tensor(np.ascontiguousarray(given["z"][:, :size]), student)
    for what, build, call in (
        ("encoder", fresh_encoder, lambda m: pair(m(tensor(given["x"], student), *y), part.encoder)),
        ("decoder", fresh_decoder, lambda m: (one(m(codes, *y), part.decoder),)),
    ):
        source = given["x"] if what == "encoder" else given["z"]
        module = build(part, student, 500, size, source, given["y"]).train()
        reached = leaves(call(module))
        registered = {id(p): p for p in module.parameters()}
        answer[what] = np.array(
            [
                _numbers(registered.values()),
                _numbers(p for key, p in registered.items() if key in reached),
                _numbers(p for key, p in reached.items() if key not in registered),
            ]
        )
    return answer
