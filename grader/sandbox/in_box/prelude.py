"""Runs in a new kernel before the notebook, so that code that expects Colab or a keyboard is harmless and quick.

There is no keyboard: `input()` returns an empty line instead of failing, and a debugger continues at once. Requests to
end the kernel, which would take effect in the middle of a later cell, or to empty it (`exit()`, Colab's line that
restarts the runtime, `%reset`) are reported but not carried out, because a notebook that runs once from top to bottom
does not need them. `google.colab` is a file of stand-ins, found last on the path. If an import fails, its error is
shown and the cell goes on, so that a package that only this machine lacks costs as few points as possible.
"""

import sys

sys.path[:], kernel_path = [folder for folder in sys.path if folder], sys.path[:]  # no file beside the notebook

import ast  # noqa: E402
import os  # noqa: E402
import pdb  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

ipython = get_ipython()  # type: ignore[name-defined]  # noqa: F821  # IPython puts it there


class _Keyboard:
    """Answers a cell's first calls of `input()` with an empty line; later calls fail, so that a loop ends.

    A hundred calls are answered: code may ask in every epoch, and a loop that repeats a question until the answer is
    valid makes a hundred calls at once. Code that catches the error later gets a KeyboardInterrupt; if it catches this,
    too, its process is ended here, instead of at the cell's time limit.
    """

    answers, errors, interrupts = 100, 1000, 10_000
    questions = 0

    def begin(self, *_):
        self.questions = 0

    def input(self, prompt="", *_, show=print, **__):
        show(prompt)
        return self.getpass()

    def getpass(self, *_, **__):
        self.questions += 1
        if self.questions > self.interrupts:
            self.end()
        if self.questions > self.errors:
            raise KeyboardInterrupt(f"asked for input more than {self.errors} times, and there is none")
        if self.questions > self.answers:
            raise EOFError(f"asked for input more than {self.answers} times, and there is none")
        return ""

    def end(self, show=print, wait=time.sleep, end=os._exit):
        show(f"\nasked for input more than {self.interrupts} times, and there is none: ended", flush=True)
        wait(0.2)  # until the message has been sent
        end(1)


def _without_ending(shell):
    def record(source):
        shell.payload_manager.write_payload({"source": source})

    def ends(change):
        if change["new"]:
            shell.exit_now = False
            record("ask_exit")

    shell.unobserve_all("exit_now")  # set by `exit()` and a shutdown; the kernel would stop 0.1 s later
    shell.observe(ends, "exit_now")
    shell.register_magic_function(lambda line: record("reset"), "line", "reset")
    shell.reset = lambda *_, **__: record("reset")


def _without_input(shell):
    keyboard = _Keyboard()
    shell.events.register("pre_execute", keyboard.begin)
    shell.kernel.raw_input, shell.kernel.getpass = keyboard.input, keyboard.getpass
    system = shell.system
    shell.system = lambda command: system("exec < /dev/null\n" + command)  # it has a terminal, and would wait


def _with_streams_and_display(shell, sys=sys, out=sys.stdout, err=sys.stderr):
    """Restores standard streams and display that a cell has closed; without them the kernel cannot reply."""
    parts = {name: getattr(shell, name) for name in ("display_pub", "display_formatter", "displayhook")}

    def restore(*_):
        sys.stdout = out if getattr(sys.stdout, "closed", True) else sys.stdout
        sys.stderr = err if getattr(sys.stderr, "closed", True) else sys.stderr
        for name, part in parts.items():
            if getattr(shell, name, None) is None:
                setattr(shell, name, part)

    shell.events.register("pre_execute", restore)
    shell.events.register("post_execute", restore)


def _imports_apart(ast=ast):
    """Lets each import at a cell's top level fail separately: its error is shown as usual, and the next line runs."""
    show_error = "__import__('IPython').get_ipython().showtraceback()"

    class Apart(ast.NodeTransformer):
        def visit_Module(self, node):
            node.body = [piece for statement in node.body for piece in self.apart(statement)]
            return ast.fix_missing_locations(node)

        def apart(self, statement):
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            if future or not isinstance(statement, ast.Import | ast.ImportFrom):
                return [statement]
            names = [[name] for name in statement.names] if isinstance(statement, ast.Import) else [statement.names]
            return [self.guarded(statement, some) for some in names]

        def guarded(self, statement, names):
            piece = type(statement)(**{**dict(ast.iter_fields(statement)), "names": names})
            failed = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, ast.parse(show_error).body)
            guarded = ast.Try([ast.copy_location(piece, statement)], [failed], [], [])
            for node in (guarded, *ast.walk(failed)):
                ast.copy_location(node, statement)
            return guarded

    return Apart()


def _continue_debugger(debugger, *_, **__):
    """Lets the debugger continue to the next breakpoint or the end, instead of waiting for input."""
    debugger.botframe = getattr(debugger, "botframe", None)  # missing until a program runs
    debugger.set_continue()


_without_ending(ipython)
_without_input(ipython)
_with_streams_and_display(ipython)
ipython.ast_transformers.append(_imports_apart())
pdb.Pdb.interaction = _continue_debugger  # type: ignore[method-assign, assignment]  # IPython's debuggers inherit this
sys.path[:] = [*kernel_path, os.environ["BOX_ENGINE"] + "/stubs"]
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
del ast, kernel_path, pdb, time  # the notebook has to import them itself
