"""There is no standard input in the box: code that waits for input goes on, or ends, at once."""

from __future__ import annotations

from small_exercise import running

NONE = "asked for input more than {} times, and there is none"
WENT_ON = {  # each prints what it must, and raises nothing
    "name = input('Your name? ')\nprint('hi', name)": "Your name? \nhi \n",
    "import getpass\nprint([getpass.getpass('key') for _ in range(3)])": "['', '', '']\n",
    "for epoch in range(20):\n    input()\nprint(epoch)": "\n" * 20 + "19\n",
    "breakpoint()\nprint('on')": "on\n",
    "import pdb\nfor n in range(3):\n    pdb.set_trace()\nprint(n)": "2\n",
    "def f():\n    breakpoint()\n    return 3\nprint(f())": "3\n",
    "from IPython.core.debugger import set_trace\nset_trace()\nprint('on')": "on\n",
    "pdb.Pdb().set_trace()\nprint('on')": "on\n",
    "try:\n    1 / 0\nexcept ZeroDivisionError:\n    pdb.post_mortem()\nprint('on')": "on\n",
    "%debug": "",
    "%%debug\nprint('on')": "on\n",
    "pdb.run('print(7)')": "7\n",
    "import sys\nprint(sys.gettrace(), repr(sys.stdin.read()))": "None ''\n",
    "import code\ncode.interact(banner='')\nprint('on')": "\non\n",
    "!cat; python3 -c 'input()' 2>&1 | tail -1": "EOFError: EOF when reading a line\r\n",
    "import os, subprocess\nprint(subprocess.run('cat').returncode, os.system('read x'))": "0 256\n",
    "%%bash\nread x\necho on": "",
    "import IPython\nIPython.embed()\nprint('on')": "on\n",
}
UNTIL_LIKED = "while True:\n    try:\n        n = int(input('n? '))\n        break\n    except {}:\n        print('no')"
ENDED = {  # loops that ask until they like the answer
    "while not input():\n    pass": f"EOFError: {NONE.format(100)}",
    "import getpass\nwhile True:\n    getpass.getpass()": f"EOFError: {NONE.format(100)}",
    UNTIL_LIKED.format("ValueError"): f"EOFError: {NONE.format(100)}",
    UNTIL_LIKED.format("Exception"): f"KeyboardInterrupt: {NONE.format(1000)}",
}


def test_waiting_for_input_costs_neither_time_nor_the_cell() -> None:
    run = running.run(["x = 1 / 0", *WENT_ON], train=False, cell_s=20, wall_s=200)
    for number, (source, printed) in enumerate(WENT_ON.items(), 1):
        cell, text = running.own(run, number)
        assert (cell.status, cell.error) == ("ok", ""), source
        assert printed in text, source
        assert cell.seconds < 8, source
    assert len(run.evidence.answers) == 2


def test_a_loop_that_asks_for_ever_ends() -> None:
    run = running.run(list(ENDED), train=False, cell_s=20, wall_s=200)
    for number, (source, error) in enumerate(ENDED.items()):
        cell, _ = running.own(run, number)
        assert (cell.status, cell.error) == ("error", error), source
        assert cell.seconds < 8, source
    assert len(run.evidence.answers) == 2


def test_a_function_that_debugs_or_asks_answers_the_grader_all_the_same() -> None:
    asks = "def double(x):\n    breakpoint()\n    input('Go on? ')\n    return 2 * x"
    debugs = "import pdb\ndef triple(x):\n    pdb.set_trace()\n    return 3 * x"
    run = running.run(train=False, changed={"double": asks, "triple": debugs}, cell_s=20, wall_s=200)
    assert sorted(run.evidence.answers) == ["components.one/function/y", "components.two/function/y"]
