"""Runs in a fresh kernel before the notebook, so that what Colab and a keyboard would give is harmless and quick.

Nobody sits at the keyboard: `input()` answers with an empty line instead of failing, and a debugger goes on at once.
What would end the kernel a moment later, in the middle of another cell, or empty it (`exit()`, Colab's line that
restarts the runtime, `%reset`) is not done, but told: a notebook that runs once from top to bottom loses nothing by
it. `google.colab` is a folder of stand-ins, found last on the path.
"""

import os
import pdb
import sys
import time
import warnings

ipython = get_ipython()  # type: ignore[name-defined]  # noqa: F821  # IPython puts it there


class _Keyboard:
    """Answers a cell's first questions with an empty line; then there is no more input, so that a loop ends.

    A hundred, for honest code may ask in every epoch, and a loop that asks until it likes the answer makes a hundred
    in a moment. Code that swallows the error gets what Ctrl-C would give; the process of one that swallows this, too,
    ends here, and not after all the time that a cell may take.
    """

    answers, errors, interrupts = 100, 1000, 10_000
    asked = 0

    def begin(self, *_):
        self.asked = 0

    def input(self, prompt="", *_, show=print, **__):
        show(prompt)
        return self.getpass()

    def getpass(self, *_, **__):
        self.asked += 1
        if self.asked > self.interrupts:
            self.end()
        if self.asked > self.errors:
            raise KeyboardInterrupt(f"asked for input more than {self.errors} times, and there is none")
        if self.asked > self.answers:
            raise EOFError(f"asked for input more than {self.answers} times, and there is none")
        return ""

    def end(self, show=print, wait=time.sleep, end=os._exit):
        show(f"\nasked for input more than {self.interrupts} times, and there is none: ended", flush=True)
        wait(0.2)  # until it has been sent
        end(1)


def _without_ending(shell):
    def told(source):
        shell.payload_manager.write_payload({"source": source})

    def ends(change):
        if change["new"]:
            shell.exit_now = False
            told("ask_exit")

    shell.unobserve_all("exit_now")  # what `exit()` and a shutdown set; the kernel would stop 0.1 s later
    shell.observe(ends, "exit_now")
    shell.register_magic_function(lambda line: told("reset"), "line", "reset")
    shell.reset = lambda *_, **__: told("reset")


def _without_input(shell):
    keyboard = _Keyboard()
    shell.events.register("pre_execute", keyboard.begin)
    shell.kernel.raw_input, shell.kernel.getpass = keyboard.input, keyboard.getpass
    system = shell.system
    shell.system = lambda command: system("exec < /dev/null\n" + command)  # it runs at a terminal, and would wait


def _goes_on(debugger, *_, **__):
    """Instead of talking to a person, the debugger goes on to the next breakpoint or the end."""
    debugger.botframe = getattr(debugger, "botframe", None)  # not there before a program runs
    debugger.set_continue()


_without_ending(ipython)
_without_input(ipython)
pdb.Pdb.interaction = _goes_on  # type: ignore[method-assign, assignment]  # every debugger of IPython's is one
sys.path.append(os.environ["BOX_ENGINE"] + "/stubs")
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
del pdb, time  # the notebook has to import them itself
