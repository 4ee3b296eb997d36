# shellcheck shell=bash
# Shared by the scripts in bin/. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tools for this project only: not in git, and not removed by `cargo clean`.
tools="$root/.tools"
export PATH="$root/bin/link:$tools/bin:$tools/npm/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# cargo-leptos builds the site in ./target, as configured in Cargo.toml; the program must be there too.
unset CARGO_TARGET_DIR
binary="$root/target/release/wheelhouse"

has() { command -v "$1" >/dev/null 2>&1; }

heading() { printf '\n== %s\n' "$*"; }

# fail WHAT WHAT-TO-DO
fail() {
  printf 'error: %s\n       %s\n' "$1" "$2" >&2
  exit 1
}

# 75 -> "1 min 15 s"
duration() {
  if [ "$1" -lt 60 ]; then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

# The program and its site, as an operator gets them. --precompress writes .br and .gz files; --split moves the pages that
# app/src/pages.rs lists into separate WASM files, which pack-site then bundles.
build_release() {
  cargo leptos build --release --split --precompress &&
    bin/link/pack-site "$root/target/site/pkg" "$root/target/release/hash.txt"
}
