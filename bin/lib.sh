# shellcheck shell=bash
# What the scripts in bin/ share. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tools that belong to this project alone live here, out of git and out of the way of `cargo clean`.
tools="$root/.tools"
export PATH="$tools/bin:$tools/npm/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# The site is always made in ./target (Cargo.toml says so); the program has to be there too.
unset CARGO_TARGET_DIR
binary="$root/target/release/wheelhouse"

# Build facts that operators may have set for a program of theirs must not reach ours.
unset LEPTOS_OUTPUT_NAME LEPTOS_SITE_ROOT LEPTOS_SITE_PKG_DIR LEPTOS_SITE_ADDR LEPTOS_HASH_FILES LEPTOS_ENV

heading() { printf '\n== %s\n' "$*"; }

# fail WHAT [WHAT TO DO]
fail() {
  printf 'error: %s\n' "$1" >&2
  if [ $# -gt 1 ]; then printf '       %s\n' "$2" >&2; fi
  exit 1
}

# 75 -> "1 min 15 s"
duration() {
  if [ "$1" -lt 60 ]; then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

# The program and the site beside it, as an operator would get them. --precompress writes .br and .gz files.
build_release() { cargo leptos build --release --precompress; }
