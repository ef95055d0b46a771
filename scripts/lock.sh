#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rewrite constraints.txt from requirements/*.txt and the pins below, for all Python versions at once. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

new=$(mktemp)
trap 'rm -f "$new"' EXIT
head -n 1 constraints.txt > "$new"
# NumPy 2.5 has type stubs that mypy cannot read as Python 3.11.
uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
    --constraint <(printf '%s\n' 'torch==2.14.1' 'torchvision==0.29.1' 'numpy<2.5') \
    requirements/{run,engines,train,evaluation,dev,ros_wheels}.txt |
    grep -v "sys_platform == 'win32'" >> "$new"
sed -n '/^# Beside a ROS 2/,$p' constraints.txt >> "$new"
cat "$new" > constraints.txt
