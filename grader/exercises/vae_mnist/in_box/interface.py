"""The exercise's interface, and how a course's notebook differs from it: in names, orders and the form of labels.

Inside the box the recorder fills `interface`; outside it stays empty, so that the exercise's own names and orders
apply. Calls of the notebook's code go through `call`; functions that the notebook calls are wrapped by `as_notebook`.
"""

NAMES = (
    *("LATENT_DIM", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE", "DEVICE"),
    *("Encoder", "Decoder", "VAE", "vae_loss", "train_vae", "sample_vae"),
    *("ConditionalEncoder", "ConditionalDecoder", "CVAE", "train_cvae", "sample_cvae"),
    *("vae", "cvae", "vae_history", "cvae_history"),
)
ATTRIBUTES = ("reparameterize", "encoder", "decoder", "latent_dim", "num_classes")  # of the models
ARGUMENTS = {  # a class stands for its `forward`
    "reparameterize": ("mu", "logvar"),
    "vae_loss": ("x_hat", "x", "mu", "logvar"),
    "train_vae": ("model", "loader", "optimizer", "epochs"),
    "train_cvae": ("model", "loader", "optimizer", "epochs"),
    "sample_vae": ("model", "n"),
    "sample_cvae": ("model", "labels"),
    "ConditionalEncoder": ("x", "y"),
    "ConditionalDecoder": ("z", "y"),
    "CVAE": ("x", "y"),
}
RETURNS = {
    "Encoder": ("mu", "logvar"),
    "ConditionalEncoder": ("mu", "logvar"),
    "VAE": ("x_hat", "mu", "logvar"),
    "CVAE": ("x_hat", "mu", "logvar"),
    "vae_loss": ("loss", "reconstruction", "kl"),
}
OPTIONS = {"labels": ("numbers", "one_hot")}

interface: dict[str, dict[str, object]] = {"names": {}, "arguments": {}, "returns": {}, "options": {}}


def actual(name):
    """The notebook's name for a name of the interface."""
    return interface["names"].get(name, name)


def one_hot():
    """Whether the notebook's conditional modules take one-hot rows `(N, 10)` instead of numbers `(N,)`."""
    return interface["options"].get("labels") == "one_hot"


def returned_order(name):
    """The names of that function's values, in the order in which the notebook returns them."""
    return tuple(interface["returns"].get(name, RETURNS[name]))


def call(function, name, *arguments):
    """Calls the notebook's function with `arguments` of the interface, which are passed in the notebook's order."""
    order = interface["arguments"].get(name)
    if order is not None:
        by_name = dict(zip(ARGUMENTS[name], arguments, strict=True))
        arguments = [by_name[key] for key in order]
    return function(*arguments)


def in_our_order(name, values):
    """The values of the notebook's function in the interface's order; unchanged if their number is wrong."""
    order = interface["returns"].get(name)
    if order is None or len(values) != len(order):
        return list(values)
    by_name = dict(zip(order, values, strict=True))
    return [by_name[key] for key in RETURNS[name]]


def as_notebook(function, name):
    """Wraps our function for calls by the notebook's code: arguments and values are in the notebook's order."""
    takes, gives = interface["arguments"].get(name), interface["returns"].get(name)
    if takes is None and gives is None:
        return function

    def called(*args, **kwargs):
        if takes is not None:
            kwargs = {**dict(zip(takes, args, strict=False)), **kwargs}  # extra arguments are ignored
            args = ()
        values = function(*args, **kwargs)
        if gives is not None:
            by_name = dict(zip(RETURNS[name], values, strict=True))
            values = tuple(by_name[key] for key in gives)
        return values

    return called


def as_labels(y):
    """Labels `(N,)` int64 from labels or one-hot rows."""
    return y.argmax(-1) if y.ndim == 2 else y.reshape(-1).long()
