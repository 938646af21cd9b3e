#!/usr/bin/env bash
# Guess: scipy.special is compiled functions, so importing it loads NumPy's core and compiled modules, and none of
# NumPy's tools for building and testing.
# Seen (SciPy 1.17.1, NumPy 2.4.6): it loads all of numpy.f2py, the reader of Fortran included, numpy.testing and every
# other module that NumPy itself loads lazily. SciPy makes a copy of NumPy's name space for other array libraries, name by
# name, and asking for a lazy name loads it: with -X importtime .18 of .31 s of the import on one machine.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "numpy==2.4.6" "scipy==1.17.1" 2>pip.txt || { cat pip.txt; exit 1; }
cat > loaded.py <<'PYTHON'
import sys

import numpy

TOOLS = ("numpy.f2py.crackfortran", "numpy.testing", "numpy.ctypeslib", "numpy.polynomial")
print("with numpy:", [name for name in TOOLS if name in sys.modules])
import scipy

print("with scipy:", [name for name in TOOLS if name in sys.modules])
import scipy.special

print("with scipy.special:", [name for name in TOOLS if name in sys.modules])
PYTHON
venv/bin/python loaded.py > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
with numpy: []
with scipy: []
with scipy.special: ['numpy.f2py.crackfortran', 'numpy.testing', 'numpy.ctypeslib', 'numpy.polynomial']
SEEN
