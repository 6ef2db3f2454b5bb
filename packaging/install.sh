#!/bin/sh
# Installs fastvm for Linux or macOS: the program, its manual pages and completions. Needs sh, tar, gzip, curl or wget,
# and one of sha256sum, shasum and openssl.
set -eu

# `cargo xtask dist` fills in where releases are.
repository=''

usage() {
    cat <<'USAGE'
Usage: install.sh [OPTIONS]

Installs fastvm, or another version over the one that is there.

Options:
  --version VERSION  The version [default: the latest]
  --prefix DIR       The folder of bin/ and share/ [default: ~/.local]
  --from PLACE       A folder or an address that has SHA256SUMS and the archives
  --uninstall        Remove what was installed below the prefix
  --help             Print this
USAGE
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The system, as names of archives have it.
find_target() {
    case $(uname -s)-$(uname -m) in
        Linux-x86_64 | Linux-amd64) echo x86_64-unknown-linux-musl ;;
        Linux-aarch64 | Linux-arm64) echo aarch64-unknown-linux-musl ;;
        Darwin-arm64) echo aarch64-apple-darwin ;;
        Darwin-x86_64) echo x86_64-apple-darwin ;;
        *) fail "there is no program for $(uname -s) on $(uname -m)" ;;
    esac
}

# Copies the file $1 of the release to $2.
get() {
    case $from in
        *://*)
            if has curl; then
                curl --fail --silent --show-error --location --output "$2" "$from/$1"
            elif has wget; then
                wget -q -O "$2" "$from/$1"
            else
                fail 'curl and wget are missing: install one of them'
            fi
            ;;
        *) cp "$from/$1" "$2" ;;
    esac || fail "cannot get $from/$1"
}

# Prints the checksum of the file $1.
checksum() {
    if has sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif has shasum; then
        shasum -a 256 "$1" | cut -d ' ' -f 1
    elif has openssl; then
        openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    else
        fail 'sha256sum, shasum and openssl are missing: install one of them'
    fi
}

# Makes the folder $1 below the prefix, and those above it.
make_folder() {
    [ -d "$prefix/$1" ] && return
    case $1 in
        */*) make_folder "${1%/*}" ;;
    esac
    mkdir "$prefix/$1"
    echo "$1/" >> "$made"
}

# Puts the file $1 to $2 below the prefix with the mode $3. A program that runs goes on with its old file.
put() {
    make_folder "${2%/*}"
    cp "$1" "$prefix/$2.new"
    chmod "$3" "$prefix/$2.new"
    mv "$prefix/$2.new" "$prefix/$2"
    echo "$2" >> "$made"
}

# Removes the files that the list $1 has and the list $2, if there is one, has not.
remove_files() {
    kept=${2:-/dev/null}
    while IFS= read -r path; do
        case $path in
            */) ;;
            *) grep -qxF -e "$path" "$kept" || rm -f "$prefix/$path" ;;
        esac
    done < "$1"
}

# Removes the folders that the list $1 has and that are empty, the deepest first.
remove_folders() {
    grep '/$' "$1" | LC_ALL=C sort -r | while IFS= read -r path; do
        case $path in
            ./) rmdir "$prefix" 2>/dev/null || true ;;
            *) rmdir "$prefix/${path%/}" 2>/dev/null || true ;;
        esac
    done
}

install_fastvm() {
    target=$(find_target)
    get SHA256SUMS "$scratch/SHA256SUMS"
    line=$(grep "  fastvm-.*-$target\.tar\.gz\$" "$scratch/SHA256SUMS" || true)
    if [ -n "$version" ]; then
        line=$(printf '%s\n' "$line" | grep -F "  fastvm-$version-$target.tar.gz" || true)
    fi
    [ -n "$line" ] || fail "$from has no archive for $target${version:+ of version $version}"
    [ "$(printf '%s\n' "$line" | wc -l)" -eq 1 ] || fail "$from has several versions: choose one with --version"
    archive=${line#*  }
    get "$archive" "$scratch/$archive"
    [ "$(checksum "$scratch/$archive")" = "${line%% *}" ] ||
        fail "the checksum of $archive is not that of SHA256SUMS: nothing was installed"
    gzip -dc "$scratch/$archive" | tar -xf - -C "$scratch"
    new=$scratch/${archive%.tar.gz}

    if [ ! -d "$prefix" ]; then
        mkdir -p "$prefix"
        echo ./ >> "$made"
    fi
    make_folder "${installed_list%/*}"
    for page in "$new"/man/*.1; do
        put "$page" "share/man/man1/${page##*/}" 644
    done
    put "$new/completions/fastvm.bash" share/bash-completion/completions/fastvm 644
    put "$new/completions/_fastvm" share/zsh/site-functions/_fastvm 644
    put "$new/completions/fastvm.fish" share/fish/vendor_completions.d/fastvm.fish 644
    put "$new/completions/fastvm.elv" share/fastvm/completions/fastvm.elv 644
    put "$new/LICENSE" share/doc/fastvm/LICENSE 644
    put "$new/THIRD-PARTY-LICENSES.txt" share/doc/fastvm/THIRD-PARTY-LICENSES.txt 644
    put "$new/fastvm" bin/fastvm 755
    if [ -f "$prefix/$installed_list" ]; then
        remove_files "$prefix/$installed_list" "$made"
        # Folders that an earlier version made are still ours.
        grep '/$' "$prefix/$installed_list" >> "$made" || true
    fi
    cp "$made" "$scratch/list"
    put "$scratch/list" "$installed_list" 644

    "$prefix/bin/fastvm" --version
    echo "installed in $prefix/bin"
    case :$PATH: in
        *":$prefix/bin:"*) ;;
        *) echo "add it to PATH: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
}

uninstall() {
    [ -f "$prefix/$installed_list" ] || fail "nothing is installed below $prefix"
    cp "$prefix/$installed_list" "$scratch/list"
    remove_files "$scratch/list"
    rm -f "$prefix/$installed_list"
    remove_folders "$scratch/list"
    echo "removed from $prefix/bin"
}

main() {
    version='' prefix='' from='' action=install_fastvm
    while [ $# -gt 0 ]; do
        case $1 in
            --version | --prefix | --from)
                [ $# -gt 1 ] || fail "$1 needs a value"
                case $1 in
                    --version) version=${2#v} ;;
                    --prefix) prefix=$2 ;;
                    --from) from=${2%/} ;;
                esac
                shift
                ;;
            --uninstall) action=uninstall ;;
            -h | --help) usage && exit ;;
            *) fail "unknown option $1: see --help" ;;
        esac
        shift
    done
    if [ -z "$prefix" ]; then
        [ -n "${HOME:-}" ] || fail 'HOME is not set: use --prefix'
        prefix=$HOME/.local
    fi
    if [ -z "$from" ] && [ "$action" = install_fastvm ]; then
        [ -n "$repository" ] || fail 'this copy does not know where releases are: use --from'
        from=$repository/releases/latest/download
        [ -z "$version" ] || from=$repository/releases/download/v$version
    fi
    # What is installed below the prefix: files, and folders, which end with a slash.
    installed_list=share/fastvm/installed
    scratch=$(mktemp -d)
    made=$scratch/made
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$action"
}

# All of it is read before the first line runs, so that a cut download does nothing.
main "$@"
