"""A malformed output is left out, and its cell ends as it would without that output."""

from __future__ import annotations

import json

from small_exercise import running

from grader.notebook.format import dump_notebook

LOST = "an output of this cell was left out: it could not be read"
SAY = """
k = get_ipython().kernel
s = k.session
def say(kind, content, parent=None):
    s.send(k.iopub_socket, kind, content, parent=k.get_parent() if parent is None else parent)
def raw(*parts):
    k.iopub_socket.send_multipart([b'topic', b'<IDS|MSG>', s.sign(parts), *parts])
from comm import create_comm
from IPython.display import ProgressBar, clear_output, display, publish_display_data, update_display
deep = 1
for _ in range(500):
    deep = [deep]
def widget(**state):
    return create_comm(target_name='jupyter.widget', data={'state': state})
OUTPUT = {'_model_module': '@jupyter-widgets/output', '_model_name': 'OutputModel'}
"""
HANDLES = [  # nothing is lost of these but what is shown in another cell
    "live = display('waiting', display_id=True)",
    "live.update('epoch 1')",
    "display('a', display_id='same')\ndisplay('b', display_id='same')",
    "update_display('x', display_id='never shown')",
    "for _ in ProgressBar(3):\n    pass",
    "clear_output()\nclear_output(wait=True)\nprint(0)\nclear_output(wait=True)\nclear_output(wait=True)",
    "get_ipython().set_next_input('x = 1')",
    "create_comm(target_name='jupyter.widget', data={}).send({'x': 1})",
    "widget(_model_module=['x'], _model_name=3).send({'state': 4})",
    "widget(**OUTPUT).send({'state': {'msg_id': 'x'}})",
    "widget(**OUTPUT, outputs=[]).send({'state': {'msg_id': ''}})",
    "widget(**OUTPUT, outputs=5).send({'state': {'msg_id': k.get_parent()['header']['msg_id']}})",
    "create_comm(target_name='of my own').close()",
    "display({'application/json': float('nan')}, raw=True)",
    "display({'text/plain': 'x'}, raw=True, metadata={'a': float('inf')})",
    "for kind in ('status', 'clear_output', 'comm_open', 'comm_msg', 'nonsense'):\n    say(kind, {})",
    "say('stream', {'name': 'stdout', 'text': 'x'}, parent={'header': {'msg_id': [1]}})",
    "say('display_data', {'data': {'text/plain': 'x'}, 'metadata': {}, 'transient': None})",
]
LEFT_OUT = [
    "display({'text/plain': 5}, raw=True)",
    "display({'image/png': [1, 2]}, raw=True)",
    "display({'text/html': None, 'image/svg+xml': 3.5}, raw=True)",
    "publish_display_data({'x/unknown': {'a': [1]}, '': 3, 'no slash': 't'})",
    "publish_display_data({'text/plain': 't'}, transient={'display_id': {'a': 1}})",
    "display({'application/json': deep}, raw=True)",
    "display('x', display_id='deep')\nupdate_display({'application/json': deep}, display_id='deep', raw=True)",
    "class R:\n    def _repr_mimebundle_(self, **_):\n        return {'text/plain': 3}\ndisplay(R())",
    "say('display_data', {})",
    "say('display_data', {'data': {'text/plain': 'x'}, 'metadata': []})",
    "say('execute_result', {'data': 3})",
    "say('stream', {'text': 5})",
    "say('stream', {'name': 'stdout', 'text': ['x']})",
    "say('error', {'traceback': 4})",
    "say('update_display_data', {'transient': {'display_id': ['x']}})",
    "k.iopub_socket.send_multipart([b'x'])",
    "k.iopub_socket.send_multipart([b'x', b'<IDS|MSG>', b'unsigned', b'{}', b'{}', b'{}', b'{}'])",
    "raw(b'{}', b'{}', b'{}', b'{}')",
    "raw(b'[]', b'3', b'null', b'not JSON')",
    "raw(b'{\"msg_id\": 1, \"msg_type\": [\"stream\"]}', s.pack(k.get_parent()['header']), b'3', b'4')",
    "raw(b'{\"msg_id\": \"1\", \"msg_type\": \"stream\"}', s.pack(k.get_parent()['header']), b'{}', b'[' * 100_000)",
]


def test_each_cell_ends_as_without_and_only_what_cannot_be_read_is_left_out() -> None:
    cells = [SAY, *(f"{source}\nprint('end')" for source in (*HANDLES, *LEFT_OUT))]
    run = running.run(cells, train=False, cell_s=20, wall_s=200)
    assert run.execution.events == ()
    assert sorted(run.evidence.answers) == ["components.one/function/y", "components.two/function/y"]
    for number, source in enumerate((*HANDLES, *LEFT_OUT), 1):
        cell, text = running.own(run, number)
        assert (cell.status, cell.error) == ("ok", ""), source
        assert "end\n" in text, source
        assert (LOST in text) == (source in LEFT_OUT), source
    json.loads(dump_notebook(run.notebook))


def test_cleared_outputs_are_removed_and_do_not_count() -> None:
    cells = [
        "from IPython.display import clear_output",
        "for n in range(5):\n    clear_output(wait=True)\n    print('epoch', n)",
        "for n in range(40):\n    clear_output(wait=True)\n    print('x' * 50_000, n)",
        "handle = display('x' * 100_000, display_id=True)\nfor n in range(20):\n    handle.update(str(n) * 50_000)",
    ]
    run = running.run(cells, train=False, cell_s=20, wall_s=200, cell_output_mb=0.5)
    assert running.own(run, 1)[1] == "epoch 4\n"
    assert running.own(run, 2)[1] == "x" * 50_000 + " 39\n"
    assert run.execution.events == ()
