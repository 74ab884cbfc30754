"""Questions for freshly built encoders and decoders."""

import numpy as np
import torch

from .asking import NoAnswer, latent_dim, tensor
from .interface import actual, call

INSTANCES = 3  # fresh modules asked, so that one unlucky initialization decides nothing


def perturbed(module, seed):
    """The module with every parameter moved at random, so that a bias or an initialization decides nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 0.5 * parameter.std(correction=0).item() + 0.05
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter) * scale)
    return module


def by_the_same_chance(function, *arguments):
    """What the call gives with freshly seeded random numbers: what differs between two such calls is no chance."""
    torch.manual_seed(17)
    np.random.seed(17)
    return function(*arguments)


def fresh(part, student, kind, seed, size, inputs, y):
    """A fresh module of that kind, after one call that lets lazy layers take their shape; in eval mode."""
    torch.manual_seed(seed)
    module = part.build(student, kind, size)
    with torch.no_grad():
        call(module, kind, tensor(inputs[:2], student), *part.labels(y[:2], student))
    return module.eval()


def one_a_code(images, count, decoder):
    """The images, `(count, pixels)`, where there is one for each code."""
    if images.ndim == 0 or len(images) != count:
        raise NoAnswer(
            f"expected {actual(decoder)} to give one image for each of {count} codes, got {tuple(images.shape)}"
        )
    return images.reshape(count, -1)


def ask_encoder(part, student, given):
    """Fresh encoders on digits, on moved parameters, one by one, twice, and along sums of images."""
    x, y, size = given["x"], given["y"], latent_dim(student)
    answer = {"latent_dim": size}

    def encode(module, images, labels):
        with torch.no_grad():
            return part.encode(module, images, labels, student)

    outputs, moved = [], []
    for k in range(INSTANCES):
        module = fresh(part, student, part.encoder, 100 + k, size, x, y)
        outputs.append(encode(module, x, y))
        if k == 0:
            answer["mu_again"], answer["logvar_again"] = encode(module, x, y)
            answer["mu_single"], answer["logvar_single"] = encode(module, x[:1], y[:1])
            lines, same = given["line_images"], np.repeat(y[:1], len(given["line_images"]))
            answer["line_mu"], answer["line_logvar"] = encode(module, lines, same)
            if part.conditional:
                heads = [by_the_same_chance(encode, module, x[:1], np.array([label])) for label in range(10)]
                answer["label_mu"], answer["label_logvar"] = (torch.cat(head) for head in zip(*heads, strict=True))
        moved.append(encode(perturbed(module, 200 + k), x, y))
    for key, several in (("", outputs), ("moved_", moved)):
        if len({(m.shape, v.shape) for m, v in several}) > 1:
            raise NoAnswer(f"{actual(part.encoder)} gave different shapes for the same images")
        answer[key + "mu"] = torch.stack([m for m, _ in several])
        answer[key + "logvar"] = torch.stack([v for _, v in several])
    torch.manual_seed(100)
    module = part.build(student, part.encoder, size).train()
    answer["train_mu"], answer["train_logvar"] = encode(module, x, y)
    return answer


def ask_decoder(part, student, given):
    """Fresh decoders at codes, far codes, each latent moved by itself, one by one, twice, and along sums."""
    z, y, size = given["z"], given["y"], latent_dim(student)
    answer = {"latent_dim": size}

    def decode(module, codes, labels):
        with torch.no_grad():
            return part.decode(module, np.ascontiguousarray(codes[:, :size]), labels, student)

    images, far, still, moves = [], [], [], []
    for k in range(INSTANCES):
        module = fresh(part, student, part.decoder, 300 + k, size, z[:, :size], y)
        images.append(decode(module, z, y))
        far.append(decode(module, 10 * z, y))
        if k < 2:
            steps = np.repeat(z[:1, :size], size + 1, 0)
            steps[np.arange(1, size + 1), np.arange(size)] += 2.0
            same = np.repeat(y[:1], size + 1)
            unmoved = by_the_same_chance(decode, module, np.repeat(z[:1], size + 1, 0), same)
            still.append(one_a_code(unmoved, size + 1, part.decoder))
            moves.append(one_a_code(by_the_same_chance(decode, module, steps, same), size + 1, part.decoder))
        if k == 0:
            answer["again"] = decode(module, z, y)
            answer["single"] = decode(module, z[:1], y[:1])
            answer["line"] = decode(module, given["line_codes"], np.repeat(y[:1], len(given["line_codes"])))
            if part.conditional:
                every = [by_the_same_chance(decode, module, z[:1], np.array([label])) for label in range(10)]
                answer["by_label"] = torch.cat(every)
    if len({tuple(image.shape) for image in images + far}) > 1:
        raise NoAnswer(f"{actual(part.decoder)} gave different shapes for the same codes")
    torch.manual_seed(300)
    module = part.build(student, part.decoder, size).train()
    answer["train"] = decode(module, z, y)
    answer |= {"still": torch.stack(still), "moves": torch.stack(moves)}
    return {**answer, "x_hat": torch.stack(images), "far": torch.stack(far)}


def ask_other_sizes(part, student, given):
    """Encoder and decoder built for a latent size that is not the notebook's."""
    size = 5 if latent_dim(student) != 5 else 6
    x, y, codes = given["x"], given["y"], np.ascontiguousarray(given["z"][:, :size])
    encoder = fresh(part, student, part.encoder, 400, size, x, y)
    decoder = fresh(part, student, part.decoder, 400, size, codes, y)
    with torch.no_grad():
        mu, logvar = part.encode(encoder, x, y, student)
        x_hat = part.decode(decoder, codes, y, student)
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
    size, x, y = latent_dim(student), given["x"], given["y"]
    codes = np.ascontiguousarray(given["z"][:, :size])
    for what, kind, inputs, outputs in (
        ("encoder", part.encoder, x, lambda m: part.encode(m, x, y, student)),
        ("decoder", part.decoder, codes, lambda m: (part.decode(m, codes, y, student),)),
    ):
        module = fresh(part, student, kind, 500, size, inputs, y).train()
        reached = leaves(outputs(module))
        registered = {id(p): p for p in module.parameters()}
        answer[what] = np.array(
            [
                _numbers(registered.values()),
                _numbers(p for key, p in registered.items() if key in reached),
                _numbers(p for key, p in reached.items() if key not in registered),
            ]
        )
    return answer
