"""Questions about freshly built encoders and decoders."""

import numpy as np
import torch

from .interface import actual, call
from .notebook_objects import NoAnswer, latent_dim, normal, tensor

INSTANCES = 3  # fresh modules that are tested, so that no single unlucky initialization matters
FLIPPED = 2  # images of which each pixel is inverted, one at a time
COPIES = 32  # of the same input in one batch; their outputs differ only by chance
PIXELS = 784
DRAWN = 32  # pixels of x_hat whose gradients are recorded
HEADS = 4  # numbers of mu, and as many of logvar, whose gradients are recorded


def perturbed(module, seed):
    """The module with every parameter moved at random, so that no result depends on a bias or an initialization."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            scale = 0.5 * parameter.std(correction=0).item() + 0.05
            parameter.add_(normal([seed, number], *parameter.shape).to(parameter) * scale)
    return module


def by_the_same_chance(function, *arguments):
    """Calls the function with reseeded random numbers, so that two such calls do not differ by chance."""
    torch.manual_seed(17)
    np.random.seed(17)
    return function(*arguments)


def fresh(part, student, kind, seed, size, inputs, y):
    """A new instance of that class in eval mode, after one call in which lazy layers infer their shapes."""
    torch.manual_seed(seed)
    module = part.build(student, kind, size)
    with torch.no_grad():
        call(module, kind, tensor(inputs[:2], student), *part.labels(y[:2], student))
    return module.eval()


def one_per_code(images, count, decoder):
    """The images as `(count, pixels)`; raises NoAnswer unless there is one for each code."""
    if images.ndim == 0 or len(images) != count:
        raise NoAnswer(
            f"expected {actual(decoder)} to give one image for each of {count} codes, got {tuple(images.shape)}"
        )
    return images.reshape(count, -1)


def ask_encoder(part, student, questions):
    """Outputs of fresh encoders: for digits, with moved parameters, a changed pixel or label, row by row, reordered."""
    x, y, size = questions["x"], questions["y"], latent_dim(student)
    many, order = questions["many_x"], questions["order"]
    answer = {"latent_dim": size}

    def encode(module, images, labels):
        with torch.no_grad():
            return part.encode(module, images, labels, student)

    def keep(name, values, joined=torch.stack):
        heads = list(zip(*values, strict=True))
        if len({(mu.shape, logvar.shape) for mu, logvar in values}) > 1:
            raise NoAnswer(f"{actual(part.encoder)} gave different shapes for the same images")
        answer[f"{name}mu"], answer[f"{name}logvar"] = (joined(head) for head in heads)

    fresh_ones = [fresh(part, student, part.encoder, 100 + k, size, x, y) for k in range(INSTANCES)]
    keep("", [encode(module, x, y) for module in fresh_ones])
    first = fresh_ones[0]
    keep("again_", [encode(first, x, y)], torch.cat)
    keep("single_", [encode(first, x[row : row + 1], y[row : row + 1]) for row in range(len(x))], torch.cat)
    keep("reordered_", [encode(first, x[order], y[order])], torch.cat)
    lines = questions["line_images"]
    keep("line_", [encode(first, lines, np.repeat(y[:1], len(lines)))], torch.cat)
    perturbed_ones = [perturbed(module, 200 + k) for k, module in enumerate(fresh_ones)]
    keep("moved_", [encode(module, x, y) for module in perturbed_ones])
    keep("many_", [encode(perturbed_ones[0], many, questions["many_y"])], torch.cat)
    for k in range(FLIPPED):
        still = np.repeat(many[k : k + 1], PIXELS, axis=0)
        flipped = still.reshape(PIXELS, PIXELS).copy()
        flipped[np.diag_indices(PIXELS)] = 1 - flipped[np.diag_indices(PIXELS)]
        same = np.repeat(questions["many_y"][k : k + 1], PIXELS)
        base = by_the_same_chance(encode, perturbed_ones[k], still[:COPIES], same[:COPIES])
        turned = by_the_same_chance(encode, perturbed_ones[k], flipped.reshape(still.shape), same)
        for head, before, after in zip(("mu", "logvar"), base, turned, strict=True):
            one_per_row(before, COPIES), one_per_row(after, PIXELS)
            answer[f"flip{k}_{head}"] = (after - before[:1]).abs().flatten(1).amax(1)  # of each pixel
            answer[f"copies{k}_{head}"] = (before[1:] - before[:1]).abs().max()
    answer["gradients"] = _gradients_at_images(
        part, student, perturbed_ones[0], many[:4], np.repeat(questions["many_y"][:1], 4)
    )
    if part.conditional:
        repeated = np.repeat(x[:1], 10, axis=0)
        for name, labels in (("label_", np.arange(10)), ("one_label_", np.repeat(y[:1], 10))):
            each = [by_the_same_chance(encode, first, repeated[:1], labels[k : k + 1]) for k in range(10)]
            keep(name, each, torch.cat)
    torch.manual_seed(100)
    module = part.build(student, part.encoder, size).train()
    keep("train_", [encode(module, x, y)], torch.cat)
    return answer


def one_per_row(values, count):
    """Raises NoAnswer unless there is one row for each input."""
    if values.ndim == 0 or len(values) != count:
        raise NoAnswer(f"expected one row for each of {count} inputs, got shape {tuple(values.shape)}")


def _gradients_at_images(part, student, encoder, images, labels):
    """Gradients of some numbers of mu and logvar with respect to the pixels, `(numbers, images, 784)`, or zeros."""
    x = tensor(images, student).clone().requires_grad_()
    heads = [head.flatten(1)[:, :HEADS] for head in part.encode(encoder, x, labels, student)]
    return _gradients(torch.cat(heads, dim=1), x)


def _gradients(outputs, inputs):
    """The gradient of each column of the outputs, `(columns, rows, numbers)`; rows must not depend on each other."""
    if not outputs.requires_grad:
        return torch.zeros(outputs.shape[1], len(inputs), inputs[0].numel())
    grads = [
        torch.autograd.grad(outputs[:, column].sum(), inputs, retain_graph=True, allow_unused=True)[0]
        for column in range(outputs.shape[1])
    ]
    return torch.stack([torch.zeros_like(inputs) if grad is None else grad for grad in grads]).flatten(2)


def ask_decoder(part, student, questions):
    """Outputs of fresh decoders: for codes, far codes, one changed latent or label, row by row, reordered."""
    z, y, size, order = questions["z"], questions["y"], latent_dim(student), questions["order"]
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
            still.append(one_per_code(unmoved, size + 1, part.decoder))
            moves.append(one_per_code(by_the_same_chance(decode, module, steps, same), size + 1, part.decoder))
        if k == 0:
            answer["again"] = decode(module, z, y)
            answer["single"] = torch.cat([decode(module, z[row : row + 1], y[row : row + 1]) for row in range(len(z))])
            answer["reordered"] = decode(module, z[order], y[order])
            answer["line"] = decode(module, questions["line_codes"], np.repeat(y[:1], len(questions["line_codes"])))
            if part.conditional:
                for name, labels in (("by_label", np.arange(10)), ("by_one_label", np.repeat(y[:1], 10))):
                    each = [by_the_same_chance(decode, module, z[:1], labels[j : j + 1]) for j in range(10)]
                    answer[name] = torch.cat(each)
    if len({tuple(image.shape) for image in images + far}) > 1:
        raise NoAnswer(f"{actual(part.decoder)} gave different shapes for the same codes")
    answer["gradients"] = _gradients_at_codes(part, student, perturbed(module, 400), z[:4, :size], np.repeat(y[:1], 4))
    torch.manual_seed(300)
    module = part.build(student, part.decoder, size).train()
    answer["train"] = decode(module, z, y)
    answer |= {"still": torch.stack(still), "moves": torch.stack(moves)}
    return {**answer, "x_hat": torch.stack(images), "far": torch.stack(far)}


def _gradients_at_codes(part, student, decoder, codes, labels):
    """Gradients of some pixels with respect to the code, `(pixels, codes, D)`, or zeros."""
    z = tensor(np.ascontiguousarray(codes), student).clone().requires_grad_()
    images = one_per_code(part.decode(decoder, z, labels, student), len(codes), part.decoder)
    return _gradients(images[:, torch.linspace(0, images.shape[1] - 1, DRAWN).long()], z)


def ask_other_sizes(part, student, questions):
    """Outputs of an encoder and a decoder built for another latent size than the notebook's."""
    size = 5 if latent_dim(student) != 5 else 6
    x, y, codes = questions["x"], questions["y"], np.ascontiguousarray(questions["z"][:, :size])
    encoder = fresh(part, student, part.encoder, 400, size, x, y)
    decoder = fresh(part, student, part.decoder, 400, size, codes, y)
    with torch.no_grad():
        mu, logvar = part.encode(encoder, x, y, student)
        x_hat = part.decode(decoder, codes, y, student)
    return {"size": size, "mu": mu, "logvar": logvar, "x_hat": x_hat}


def leaves(outputs):
    """The parameters that the outputs' gradient reaches, by their ids; found by walking the graph backwards."""
    parameters, visited = {}, set()
    queue = [output.grad_fn for output in outputs if output.grad_fn is not None]
    while queue:
        node = queue.pop()
        if node in visited:
            continue
        visited.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            parameters[id(variable)] = variable
        queue.extend(child for child, _ in node.next_functions if child is not None)
    return parameters


def _numbers(parameters):
    return sum(p.numel() for p in parameters)


def ask_encoder_parameters(part, student, questions):
    """Counts of an encoder's parameters: registered, of these reached by the gradient, reached but not registered."""
    size, x, y = latent_dim(student), questions["x"], questions["y"]
    module = fresh(part, student, part.encoder, 500, size, x, y).train()
    return {"counts": _counts(module, part.encode(module, x, y, student))}


def ask_decoder_parameters(part, student, questions):
    """The same counts for a decoder, see `ask_encoder_parameters`."""
    codes, y = np.ascontiguousarray(questions["z"][:, : latent_dim(student)]), questions["y"]
    module = fresh(part, student, part.decoder, 500, codes.shape[1], codes, y).train()
    return {"counts": _counts(module, [part.decode(module, codes, y, student)])}


def _counts(module, outputs):
    reached = leaves(outputs)
    registered = {id(p): p for p in module.parameters()}
    inside = _numbers(p for key, p in registered.items() if key in reached)
    outside = _numbers(p for key, p in reached.items() if key not in registered)
    return np.array([_numbers(registered.values()), inside, outside])
