# shellcheck shell=bash
# What the scripts in bin/ share. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tools that belong to this project alone live here: out of git, and out of the way of `cargo clean`.
tools="$root/.tools"
export PATH="$root/bin/link:$tools/bin:$tools/npm/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# cargo-leptos makes the site in ./target, as Cargo.toml says; the program has to be there too.
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

# The program and the site beside it, as an operator gets them; --precompress writes each file's .br and .gz.
# --split takes the pages that app/src/pages.rs gives files of their own out of the WASM.
# What comes of it is packed for the way to the browser.
build_release() {
  cargo leptos build --release --split --precompress &&
    bin/link/pack-site "$root/target/site/pkg" "$root/target/release/hash.txt"
}
