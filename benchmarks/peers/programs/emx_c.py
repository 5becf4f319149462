"""emx-onnx-cgen: the most bytes that its C has allocated at once, heap, statics and stack.

    python emx_c.py MODEL INPUT.npy OUTPUT.npy FOLDER

The C is compiled for this machine with counting stand-ins for malloc and free, and run once.  Input
and output are the caller's and counted too.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
static size_t live, most;
void *counted_malloc(size_t size) {
  size_t *block = malloc(size + 16);
  if (!block) exit(3);
  *block = size;
  live += size;
  if (live > most) most = live;
  return (char *)block + 16;
}
void counted_free(void *pointer) {
  if (!pointer) return;
  size_t *block = (size_t *)((char *)pointer - 16);
  live -= *block;
  free(block);
}
void net(const void *, void *);
static char in[INPUT_BYTES], out[OUTPUT_BYTES];
int main(int count, char **paths) {
  FILE *file = count == 3 ? fopen(paths[1], "rb") : 0;
  if (!file || fread(in, 1, sizeof in, file) != sizeof in) return 2;
  fclose(file);
  net(in, out);
  file = fopen(paths[2], "wb");
  if (!file || fwrite(out, 1, sizeof out, file) != sizeof out || fclose(file)) return 2;
  printf("%zu\n", most);
  return 0;
}
"""

path, image, output, name = sys.argv[1:]
folder = Path(name)
folder.mkdir(parents=True, exist_ok=True)
emx = [str(Path(sys.executable).parent / "emx-onnx-cgen"), "compile", path]
emx += [str(folder / "net.c"), "--model-name", "net", "--large-weight-threshold", "0"]
subprocess.run(emx, check=True, stdout=subprocess.DEVNULL)

(port,) = onnx.load(path).graph.output
shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
data = np.load(image)
result = np.zeros(shape, "float32")
(folder / "in.bin").write_bytes(data.tobytes())
(folder / "main.c").write_text(HARNESS)
gcc = ["gcc", "-O2", "-fstack-usage", "-Dmalloc=counted_malloc", "-Dfree=counted_free", "-c"]
subprocess.run([*gcc, "-include", "stdlib.h", "net.c"], check=True, cwd=folder)
sizes = [f"-DINPUT_BYTES={data.nbytes}", f"-DOUTPUT_BYTES={result.nbytes}"]
subprocess.run(["gcc", *sizes, "main.c", "net.o", "-lm", "-o", "net"], check=True, cwd=folder)
heap = int(subprocess.check_output(["./net", "in.bin", "out.bin"], cwd=folder))
result = np.frombuffer((folder / "out.bin").read_bytes(), "float32").reshape(shape)
np.save(output, result)

sections = subprocess.check_output(["size", "-A", "net.o"], cwd=folder, text=True)
statics = sum(int(size) for size in re.findall(r"^\.(?:data|bss)\S*\s+(\d+)", sections, re.M))
frames = [int(line.split("\t")[1]) for line in (folder / "net.su").read_text().splitlines()]
# The entry's frame, and the deepest of the operators that it calls one after the other.
stack = frames[-1] + max(frames[:-1], default=0)
print(json.dumps({"bytes": heap + statics + stack + data.nbytes + result.nbytes}))
