"""TensorFlow Lite Micro: what its allocator records, and whether it runs in that much.

    python tflite_micro_arena.py MODEL INPUT.npy OUTPUT.npy

The head of the arena holds activations and scratch; the tail what the interpreter keeps, whose
structures have this machine's pointers and are therefore not counted.  An arena of the recorded
total is tried.
"""

import json
import os
import re
import sys
import tempfile

import numpy as np
from tflite_micro.python.tflite_micro import runtime


def recorded(interpreter):
    """The lines that C++ prints when it is asked for the allocations."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        kept = [os.dup(1), os.dup(2)]
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
        file.seek(0)
        return file.read().decode()


def run(arena_size):
    """An interpreter that has run once."""
    interpreter = runtime.Interpreter.from_file(model, arena_size=arena_size)
    interpreter.set_input(np.load(image), 0)
    interpreter.invoke()
    return interpreter


model, image, output = sys.argv[1:]
roomy = run(16 << 20)
text = recorded(roomy)
head, total = (
    int(re.search(rf"Arena allocation {part} (\d+) bytes", text)[1]) for part in ("head", "total")
)
np.save(output, roomy.get_output(0))
# In a process of its own: an arena that is too small may end it.
child = os.fork()
if child == 0:
    try:
        run(total)
    except BaseException:
        os._exit(1)
    os._exit(0)
enough = os.waitpid(child, 0)[1] == 0
print(json.dumps({"bytes": head, "enough": enough}))
