"""Vela, the compiler for Ethos-U NPUs: the SRAM that its summary states.

python vela_sram.py MODEL FOLDER
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

model, folder = sys.argv[1:]
vela = [str(Path(sys.executable).parent / "vela"), model, "--output-dir", folder]
vela += ["--accelerator-config", "ethos-u55-128", "--optimise", "Size"]
subprocess.run(vela, check=True, stdout=subprocess.DEVNULL)
(summary,) = Path(folder).glob(f"{Path(model).stem}_summary_*.csv")
with summary.open() as file:
    (row,) = csv.DictReader(file)
print(json.dumps({"bytes": round(float(row["sram_memory_used"]) * 1024)}))
