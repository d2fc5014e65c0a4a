#!/bin/sh
# Fails unless dist/ is the bundle that src/ builds.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ncc build src/index.ts --license licenses.txt --out "$out" >/dev/null
if ! diff -r "$out" dist >/dev/null; then
  echo 'dist/ is out of date: run "npm run build" and commit it.' >&2
  exit 1
fi
