#!/bin/bash
# A Rust compiler for wasm32-unknown-unknown from Debian's own packages, for machines where rustup
# has none. Debian's rustc-web conflicts with its rustup package, so nothing is installed: the
# packages are unpacked in a directory of the cache, and the standard library, which Debian does
# not ship for this target, is built there once.
#
#   wasm-toolchain.sh DIRECTORY     prints the toolchain's directory as its only line on stdout
#
# Lines on stderr that begin with "> " are for people; the others are details.
# Ends with 0; with 10 where apt has no such package; with 1 when something failed.
# It may be stopped at any time: the next run goes on where this one was.
set -euo pipefail
export LC_ALL=C
readonly TARGET=wasm32-unknown-unknown UNAVAILABLE=10
readonly ROOT=${1:?the directory to work in}

say() { printf '> %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
for tool in apt-get apt-cache dpkg-deb flock tar; do
  command -v "$tool" >/dev/null || { say "there is no $tool here"; exit $UNAVAILABLE; }
done

mkdir -p "$ROOT"
exec 9>"$ROOT/lock"
flock --nonblock 9 || { say "waiting for another build of the toolchain to end"; flock 9; }

# The machine's package lists are used where they serve; otherwise private ones, which need no
# privilege to refresh and change nothing outside.
LISTS=()
private_lists() {
  [ ${#LISTS[@]} -eq 0 ] || return 1
  mkdir -p "$ROOT/apt/lists/partial" "$ROOT/apt/cache/archives/partial"
  LISTS=(-o "Dir::State::lists=$ROOT/apt/lists" -o "Dir::Cache=$ROOT/apt/cache")
  say "refreshing the package lists"
  apt-get "${APT[@]}" "${LISTS[@]}" update --error-on=any >&2
}
APT=(-q -o "APT::Sandbox::User=$(id -un)")
show() { apt-cache "${LISTS[@]}" show --no-all-versions "$1" 2>/dev/null; }
version() { show rustc-web | sed -n 's/^Version: //p' || true; }

built() { find "$ROOT" -mindepth 1 -maxdepth 1 -name '*.toolchain' | sort --version-sort | tail -n 1; }

VERSION=$(version)
if [ -z "$VERSION" ]; then
  # No lists to compare with: a toolchain of an earlier day serves.
  DONE=$(built)
  if [ -n "$DONE" ]; then echo "$DONE"; exit 0; fi
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    private_lists || fail "the package lists cannot be refreshed: is there a network?"
    VERSION=$(version)
  fi
  [ -n "$VERSION" ] || { say "apt has no rustc-web here"; exit $UNAVAILABLE; }
fi

DONE=$ROOT/${VERSION//[^A-Za-z0-9.+-]/_}.toolchain
if [ -e "$DONE" ]; then echo "$DONE"; exit 0; fi
WORK=${DONE%.toolchain}.partial
say "getting a compiler for $TARGET: Debian's rustc-web $VERSION, unpacked in $ROOT; once, one to three minutes, 650 MB of disk (500 MB afterwards)"

# The first package that $1 depends on whose name matches $2.
depends() {
  show "$1" | sed -n 's/^Depends: //p' | tr ',|' '\n\n' | sed 's/^ *\([^ ]*\).*/\1/' | grep -m1 -E "$2" ||
    fail "$1 does not depend on a package like $2: this Debian is not known to the script"
}
packages() {
  STD=$(depends libstd-rust-web-dev '^libstd-rust-web-[0-9]')
  LLVM=$(depends "$STD" '^libllvm[0-9]')
  LLD=lld-${LLVM#libllvm}
  # Libraries they need that this machine lacks; none on most.
  MORE=$(apt-get "${APT[@]}" "${LISTS[@]}" --simulate --no-install-recommends install "$LLVM" "$LLD" 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -v -x -e "$LLVM" -e "$LLD" || true)
}
download() {
  packages
  # apt checks what is there already, and fetches only the rest.
  # shellcheck disable=SC2086
  (cd "$WORK/debs" && apt-get "${APT[@]}" "${LISTS[@]}" download \
    rustc-web rust-web-src libstd-rust-web-dev "$STD" "$LLVM" "$LLD" $MORE >&2)
}
if [ ! -e "$WORK/unpacked" ]; then
  mkdir -p "$WORK/debs" "$WORK/root/bin"
  say "fetching the packages (about 140 MB)"
  # Old lists name files that are gone: refresh once.
  download || { private_lists && download; } || fail "the packages cannot be fetched: is there a network?"
  say "unpacking"
  for deb in "$WORK"/debs/*.deb; do
    case $deb in
    */rust-web-src_*) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$WORK" --wildcards './usr/src/*/library/*' ;;
    *) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$WORK/root" --exclude './usr/share/*' ;;
    esac
  done
  rm -rf "$WORK/debs"
  # The wrappers find themselves: the directory is renamed when it is whole.
  for tool in rustc "wasm-ld-${LLVM#libllvm}"; do
    cat >"$WORK/root/bin/${tool%-[0-9]*}" <<EOF
#!/bin/sh
root=\$(CDPATH= cd -- "\$(dirname -- "\$0")/.." && pwd)
LD_LIBRARY_PATH=\$(echo "\$root"/usr/lib/*-linux-gnu) exec "\$root/usr/bin/$tool" "\$@"
EOF
    chmod +x "$WORK/root/bin/${tool%-[0-9]*}"
  done
  touch "$WORK/unpacked"
fi

"$WORK/root/bin/rustc" --version >&2 || fail "the compiler does not start (see above)"
LIBRARY=$(echo "$WORK"/usr/src/rustc-*/library)
[ -f "$LIBRARY/Cargo.lock" ] || fail "rust-web-src has no library/Cargo.lock: this Debian is not known to the script"
say "building the standard library for $TARGET"
# As the Rust project builds it: bitcode for lto, paths that say nothing of this machine. Without
# `test` and `proc_macro`, which no plugin links. Away from the caller's directory, whose cargo
# configuration is for something else.
cd "$WORK"
env -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_WORKSPACE_WRAPPER -u CARGO_BUILD_TARGET \
  RUSTC="$WORK/root/bin/rustc" RUSTC_WRAPPER= RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=std \
  RUSTFLAGS="-Cembed-bitcode=yes -Zforce-unstable-if-unmarked --remap-path-prefix=$LIBRARY=/rustc/library --remap-path-prefix=${CARGO_HOME:-${HOME:-}/.cargo}/registry/src=/cargo" \
  cargo build --release --locked --target $TARGET --target-dir "$WORK/build" \
  --manifest-path "$LIBRARY/std/Cargo.toml" \
  --no-default-features --features panic-unwind,compiler-builtins-mem >&2 ||
  fail "the standard library cannot be built (see above)"
LIBDIR=$WORK/root/usr/lib/rustlib/$TARGET/lib
rm -rf "$LIBDIR"
mkdir -p "$LIBDIR"
cp "$WORK/build/$TARGET/release/deps/"*.rlib "$LIBDIR/"

printf '#[unsafe(no_mangle)]\npub extern "C" fn answer() -> u64 { String::from("42").parse().unwrap_or(0) }\n' >"$WORK/trial.rs"
"$WORK/root/bin/rustc" --edition 2024 --target $TARGET --crate-type cdylib \
  -C "linker=$WORK/root/bin/wasm-ld" -o "$WORK/trial.wasm" "$WORK/trial.rs" >&2 ||
  fail "the new toolchain does not compile (see above); remove $WORK and try again"
mv "$WORK/root" "$DONE"
rm -rf "$WORK" "$ROOT/apt"
say "the compiler is ready"
echo "$DONE"
